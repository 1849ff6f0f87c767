//! Finds the processes of an execution among all that /proc shows.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::Read,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use rustix::{
    io::Errno,
    process::{Pid, PidfdFlags, pidfd_open},
};

use super::{
    marks::{Carries, Marks},
    send,
};

/// Most that is read of an environment, in bytes: the mark stands at its front.
const ENVIRONMENT_BYTES: u64 = 256 * 1024;
/// Most that is read of the other files, in bytes; 65,536 groups of 11 digits fit.
const STATUS_BYTES: u64 = 1024 * 1024;

/// What is known about an execution.
pub(super) struct Signs<'a> {
    pub(super) marks: &'a Marks,
    pub(super) number: u64,
    /// Whether processes carry a group as a mark.
    pub(super) grouped: bool,
    /// Number of the main process, which was also its session and its group.
    pub(super) main: i32,
    /// It was waited for: the number may belong to somebody else by now.
    pub(super) reaped: bool,
}

/// A process that was found alive, held by a descriptor so that its number cannot mean another.
pub(super) struct Process {
    pub(super) pid: i32,
    /// When it started, in ticks since the machine did.
    pub(super) start: u64,
    handle: Option<OwnedFd>,
    parent: i32,
    group: i32,
    session: i32,
}

impl Process {
    /// Looks at one; none if it is gone or only waits to be reaped.
    pub(super) fn find(pid: i32) -> Option<Self> {
        // Opened before anything is read: if it is still alive when a signal is sent, all that was
        // read is about it. An old kernel has no such descriptors.
        let handle = match pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()) {
            Ok(handle) => Some(handle),
            Err(Errno::SRCH) => return None,
            Err(_) => None,
        };
        let stat = read(&format!("/proc/{pid}/stat"), STATUS_BYTES)?;
        // The name before may hold anything, also brackets.
        let end = stat.iter().rposition(|byte| *byte == b')')?;
        let text = std::str::from_utf8(stat.get(end + 1..)?).ok()?;
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let field = |at: usize| fields.get(at).and_then(|field| field.parse::<i32>().ok());
        let threads = field(17)?;
        // A main thread that ended is shown as a zombie while other threads go on.
        if matches!(*fields.first()?, "Z" | "X" | "x") && threads < 2 {
            return None;
        }
        Some(Self {
            pid,
            start: fields.get(19)?.parse().ok()?,
            handle,
            parent: field(1)?,
            group: field(2)?,
            session: field(3)?,
        })
    }

    pub(super) fn send(&self, signal: i32) -> bool {
        match &self.handle {
            Some(handle) => send::to_handle(handle.as_fd(), signal),
            None => send::to_pid(self.pid, signal),
        }
    }
}

impl Signs<'_> {
    /// Calls `act` for each process of the execution as soon as it is known to be one.
    pub(super) fn visit(&self, mut act: impl FnMut(&Process)) {
        let signs = Self {
            // If somebody has the number of a main process that was waited for, its session is
            // gone too: the kernel does not give away a number that a session has.
            main: if self.reaped && Path::new(&format!("/proc/{}", self.main)).exists() {
                0
            } else {
                self.main
            },
            ..*self
        };
        let mut members = HashSet::new();
        let mut others = Vec::new();
        for pid in pids() {
            let Some(process) = Process::find(pid) else {
                continue;
            };
            match signs.carries(&process) {
                Carries::This => {
                    act(&process);
                    members.insert(pid);
                }
                Carries::Nothing => others.push((pid, process.parent, process.start)),
                Carries::Other => {}
            }
        }
        // Whoever descends from one that was found.
        let mut grows = !members.is_empty();
        while grows {
            grows = false;
            others.retain(|(pid, parent, start)| {
                if !members.contains(parent) {
                    return true;
                }
                if let Some(process) = Process::find(*pid).filter(|found| found.start == *start) {
                    act(&process);
                }
                grows |= members.insert(*pid);
                false
            });
        }
    }

    /// What a process shows by itself.
    fn carries(&self, process: &Process) -> Carries {
        if process.pid == self.main && !self.reaped {
            return Carries::This;
        }
        if self.grouped {
            let status = read(&format!("/proc/{}/status", process.pid), STATUS_BYTES);
            let found = self
                .marks
                .in_groups(self.number, groups(&status.unwrap_or_default()));
            if found != Carries::Nothing {
                return found;
            }
        }
        let path = format!("/proc/{}/environ", process.pid);
        let environment = read(&path, ENVIRONMENT_BYTES).unwrap_or_default();
        let found = self.marks.in_environment(self.number, &environment);
        let shares = self.main > 1 && [process.session, process.group].contains(&self.main);
        match found {
            Carries::Nothing if shares => Carries::This,
            found => found,
        }
    }
}

/// All processes but the first and ourselves.
fn pids() -> impl Iterator<Item = i32> {
    let own = std::process::id().cast_signed();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(move |pid| *pid > 1 && *pid != own)
}

/// The supplementary groups that a status shows.
fn groups(status: &[u8]) -> impl Iterator<Item = u32> {
    status
        .split(|byte| *byte == b'\n')
        .find_map(|line| line.strip_prefix(b"Groups:"))
        .and_then(|line| std::str::from_utf8(line).ok())
        .unwrap_or_default()
        .split_ascii_whitespace()
        .filter_map(|group| group.parse().ok())
}

fn read(path: &str, most: u64) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)
        .ok()?
        .take(most)
        .read_to_end(&mut text)
        .ok()?;
    Some(text)
}
