//! Limits of memory, CPU and processes: control groups where they can be had, else the kernel's
//! limits of a single process.

mod detect;
mod group;
mod rlimits;

use std::{fmt, io};

use rustix::process::Pid;
use uuid::Uuid;

use self::group::Tree;
pub(crate) use self::{detect::detect, group::Group};
use crate::store::Meta;

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
    tree: Option<Tree>,
}

impl Limiter {
    /// Takes what this machine has. `name` tells this provider's groups from those of others.
    pub(crate) fn new(name: &str) -> Self {
        let found = detect();
        let mechanism = found.mechanism();
        let tree = found.prepare(name).unwrap_or_else(|error| {
            tracing::warn!(%error, %mechanism, "cannot be used; rlimits are used instead");
            None
        });
        let mechanism = if tree.is_some() {
            mechanism
        } else {
            Mechanism::Rlimits
        };
        Self { mechanism, tree }
    }

    /// How limits are kept.
    pub(crate) const fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// Puts a process, and whatever it will start, under the limits of its sandbox. The group is of
    /// this execution alone, inside that of the sandbox.
    pub(crate) fn apply(
        &self,
        sandbox: Uuid,
        limits: &Limits,
        pid: Pid,
    ) -> io::Result<Option<Group>> {
        rlimits::no_core_dumps(pid)?;
        let Some(tree) = &self.tree else {
            rlimits::apply(limits, pid)?;
            return Ok(None);
        };
        tree.sandbox(&sandbox.to_string(), limits)?;
        let group = tree.execution(&sandbox.to_string())?;
        group.add(pid)?;
        Ok(Some(group))
    }

    /// Removes the groups of a sandbox that has no processes any more.
    pub(crate) fn forget(&self, sandbox: Uuid) -> io::Result<()> {
        self.tree
            .as_ref()
            .map_or(Ok(()), |tree| tree.forget(&sandbox.to_string()))
    }

    /// Removes all groups that have no processes, left by an earlier run or at the end of this one.
    pub(crate) fn clear(&self) {
        if let Some(tree) = &self.tree
            && let Err(error) = tree.clear()
        {
            tracing::debug!(%error, "control groups are left");
        }
    }
}
