//! Limits of memory, CPU and processes: control groups where they can be had, else the kernel's
//! limits of a single process.

mod detect;
mod group;
mod rlimits;

use std::{collections::HashSet, fmt, io};

use rustix::process::Pid;
use uuid::Uuid;

pub(crate) use self::{detect::detect, group::Group};
use self::{detect::kills, group::Tree};
use crate::{identity::HostUser, store::Meta};

/// What one sandbox may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Bytes.
    pub(crate) memory_bytes: u64,
    /// Thousandths of a core.
    pub(crate) cpu_millis: u64,
    /// Processes and threads.
    pub(crate) pids: u64,
}

impl From<&Meta> for Limits {
    fn from(meta: &Meta) -> Self {
        Self {
            memory_bytes: meta.memory_bytes,
            cpu_millis: meta.cpu_millis,
            pids: meta.pids,
        }
    }
}

/// How limits are kept here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mechanism {
    /// Control groups, version 2.
    CgroupV2,
    /// Control groups, version 1.
    CgroupV1,
    /// setrlimit(2): memory for each process, processes for each user, no CPU.
    Rlimits,
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CgroupV2 => "cgroup v2",
            Self::CgroupV1 => "cgroup v1",
            Self::Rlimits => "rlimits",
        })
    }
}

/// Keeps the limits of all sandboxes.
#[derive(Debug)]
pub(crate) struct Limiter {
    mechanism: Mechanism,
    tree: Tree,
}

impl Limiter {
    /// Takes what this machine has. `name` tells this provider's groups from those of others.
    pub(crate) fn new(name: &str) -> Self {
        let found = detect();
        let mechanism = found.mechanism();
        match found.prepare(name, kills()) {
            Ok(tree) => Self { mechanism, tree },
            Err(error) => {
                tracing::warn!(%error, %mechanism, "cannot be used; rlimits are used instead");
                Self {
                    mechanism: Mechanism::Rlimits,
                    tree: Tree::new(Vec::new(), None),
                }
            }
        }
    }

    /// How limits are kept.
    pub(crate) const fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// Whether a control group ends trees of processes for certain.
    pub(crate) fn kills(&self) -> bool {
        self.tree.kills()
    }

    /// Makes the groups of a sandbox.
    pub(crate) fn prepare(
        &self,
        sandbox: Uuid,
        limits: &Limits,
        user: Option<HostUser>,
    ) -> io::Result<Group> {
        self.tree.sandbox(&sandbox.to_string(), limits, user)
    }

    /// Puts the first process of a sandbox, and whatever it will start, under its limits.
    pub(crate) fn apply(&self, group: &Group, limits: &Limits, pid: Pid) -> io::Result<()> {
        rlimits::no_core_dumps(pid)?;
        if self.mechanism == Mechanism::Rlimits {
            rlimits::apply(limits, pid)?;
        }
        group.add(pid)
    }

    /// Removes the groups of a sandbox that has no processes any more.
    pub(crate) fn forget(&self, sandbox: Uuid) -> io::Result<()> {
        self.tree.forget(&sandbox.to_string())
    }

    /// Sandboxes that have groups.
    pub(crate) fn sandboxes(&self) -> io::Result<Vec<Uuid>> {
        let names = self.tree.names()?;
        let ids = names.iter().filter_map(|name| Uuid::try_parse(name).ok());
        Ok(ids.collect())
    }

    /// Leaves no group behind where there is no sandbox.
    pub(crate) fn close(&self) {
        self.tree.close();
    }

    /// Removes the groups of all sandboxes but these, left by an earlier run.
    pub(crate) fn clear(&self, kept: &[Uuid]) {
        let kept: HashSet<String> = kept.iter().map(Uuid::to_string).collect();
        if let Err(error) = self.tree.clear(&kept) {
            tracing::debug!(%error, "control groups are left");
        }
    }
}
