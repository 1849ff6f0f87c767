//! Starts processes, with what holds for all of them: whose they may be and how they are found.

use std::{
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::io::Errno;
use sandgate_runner_proto::v1::KillGuarantee;

use super::{
    Child, Command, StartFailure, Tree,
    cgroup::{Cgroups, Door, Group},
    environment::{arguments, candidates, environment, text},
    failure::Stage,
    launch::{Plan, launch},
    marks::Marks,
    oom::OomCounter,
    users::{Accounts, Identity, Own},
    wires::{self, Wires},
};

/// Knows what holds for all executions; shared by the threads that start them.
#[derive(Debug)]
pub(crate) struct Keeper {
    pub(super) own: Own,
    marks: Arc<Marks>,
    /// Whether a process can be given a group as a mark.
    pub(super) grouped: bool,
    cgroups: Option<Arc<Cgroups>>,
    oom: OomCounter,
}

impl Keeper {
    /// Tries what works here. `cgroup` is a folder of the host's for control groups; it is left
    /// alone if no process can be put there.
    pub(crate) fn new(cgroup: Option<PathBuf>) -> Self {
        let marks = Arc::new(Marks::new());
        let group = [marks.group(0)];
        let grouped = works(None, Some(&group));
        let cgroups = cgroup.map(Cgroups::new).filter(|all| {
            all.make(0)
                .is_ok_and(|(group, door)| group.is_certain() && works(Some(&door), None))
        });
        Self {
            own: Own::now(),
            marks,
            grouped,
            cgroups,
            oom: OomCounter::find(),
        }
    }

    /// Counts processes killed for memory by this file of the host's, not by what is found here.
    pub(crate) fn counting_by(mut self, file: PathBuf) -> Self {
        self.oom = OomCounter::at(file);
        self
    }

    /// How certain the end of a whole tree is here.
    pub(crate) fn guarantee(&self) -> KillGuarantee {
        match (&self.cgroups, self.grouped) {
            (Some(_), _) => KillGuarantee::Cgroup,
            (None, true) => KillGuarantee::GroupMark,
            (None, false) => KillGuarantee::Descent,
        }
    }

    /// Whether the kernel tells that memory ran out.
    pub(crate) fn sees_oom(&self) -> bool {
        self.oom.sees()
    }

    /// How many processes of the sandbox the kernel killed for memory so far.
    pub(crate) fn oom_kills(&self) -> u64 {
        self.oom.kills()
    }

    /// Starts execution `number`, counted from 1; blocks until it runs or cannot.
    pub(crate) fn spawn(&self, number: u64, command: &Command) -> Result<Child, StartFailure> {
        self.marks.issue(number);
        let identity = Accounts::read(&command.user).resolve(&command.user, &self.own)?;
        let programs = candidates(command)?;
        let folder = text(command.cwd.as_os_str().as_bytes())?;
        let wires = connect(command).map_err(|errno| at(Stage::Descriptors, errno, command, ""))?;
        if identity.uid != self.own.uid {
            wires.give_to(identity.uid);
        }
        let (cgroup, door) = self.cgroup(number)?.unzip();
        let groups = self.groups(&identity, number);
        let ids = (identity.uid, identity.gid);
        let plan = Plan {
            programs: &programs,
            arguments: &arguments(command)?,
            environment: &environment(command, &identity, &self.marks.variable(number))?,
            folder: &folder,
            wires: &wires.theirs,
            terminal: wires.terminal.is_some(),
            cgroup: door.as_ref().map(Door::as_plan),
            groups: groups.as_deref(),
            ids: (ids != (self.own.uid, self.own.gid)).then_some(ids),
        };
        let main =
            launch(&plan).map_err(|(stage, errno)| at(stage, errno, command, &identity.name))?;
        Ok(Child {
            pid: main,
            stdin: wires.stdin,
            stdout: wires.stdout,
            stderr: wires.stderr,
            terminal: wires.terminal,
            user: identity.name,
            tree: Tree {
                number,
                main,
                reaped: false,
                grouped: self.grouped,
                marks: Arc::clone(&self.marks),
                cgroup,
            },
        })
    }

    fn cgroup(&self, number: u64) -> Result<Option<(Group, Door)>, StartFailure> {
        let made = self.cgroups.as_ref().map(|all| all.make(number));
        made.transpose()
            .map_err(|error| StartFailure::at(Stage::ControlGroup, errno_of(&error), ""))
    }

    /// The supplementary groups to take on; none if they are right as they are.
    fn groups(&self, identity: &Identity, number: u64) -> Option<Vec<u32>> {
        let mut groups = identity.groups.clone();
        if self.grouped {
            groups.push(self.marks.group(number));
            return Some(groups);
        }
        (groups != self.own.groups).then_some(groups)
    }
}

/// Whether a process can join by this door, or take on these groups: one tries that has no program
/// to become, so that failing to find it means success.
fn works(door: Option<&Door>, groups: Option<&[u32]>) -> bool {
    let null = || wires::nothing();
    let (Ok(first), Ok(second), Ok(third)) = (null(), null(), null()) else {
        return false;
    };
    let plan = Plan {
        programs: &[],
        arguments: &[],
        environment: &[],
        folder: c"/",
        wires: &[first, second, third],
        terminal: false,
        cgroup: door.map(Door::as_plan),
        groups,
        ids: None,
    };
    launch(&plan) == Err((Stage::Program, Errno::NOENT))
}

fn connect(command: &Command) -> Result<Wires, Errno> {
    let wires = match command.terminal {
        Some((rows, cols)) => Wires::terminal(rows, cols),
        None => Wires::pipes(command.stdin),
    };
    wires.map_err(|error| errno_of(&error))
}

pub(super) fn errno_of(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

/// Says what went wrong, by what stands in the sandbox where the kernel's word can mean two things.
fn at(stage: Stage, errno: Errno, command: &Command, user: &str) -> StartFailure {
    let program = command.argv.first().map_or(&[][..], Vec::as_slice);
    let shown = shorten(&String::from_utf8_lossy(program));
    match stage {
        Stage::Program => match (errno, is_there(command)) {
            (Errno::NOENT, true) => StartFailure::interpreter(&shown),
            // Some folder of PATH could not be looked into; that it is nowhere is what counts.
            (Errno::ACCESS, false) if !program.contains(&b'/') => {
                StartFailure::at(stage, Errno::NOENT, &shown)
            }
            _ => StartFailure::at(stage, errno, &shown),
        },
        Stage::Folder => StartFailure::at(stage, errno, &shorten(&command.cwd.to_string_lossy())),
        _ => StartFailure::at(stage, errno, user),
    }
}

/// Whether one of the places of the program holds a file.
fn is_there(command: &Command) -> bool {
    let places = candidates(command).unwrap_or_default();
    places.iter().any(|path| {
        let path = Path::new(std::ffi::OsStr::from_bytes(path.as_bytes()));
        command.cwd.join(path).is_file()
    })
}

/// For a message: at most 200 characters.
fn shorten(text: &str) -> String {
    match text.char_indices().nth(200) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
#[path = "keeper_tests.rs"]
mod tests;
