//! A process and all that it started: signalled together, and ended for certain.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use super::{
    cgroup::Group,
    marks::Marks,
    scan::{Process, Signs},
    send,
};

/// How long ending a tree may take.
const LONGEST: Duration = Duration::from_secs(2);
/// Most rounds of it.
const ROUNDS: usize = 50;
/// Between two rounds, for the kernel to take away who was killed.
const PAUSE: Duration = Duration::from_millis(1);

/// The processes of one execution, wherever they went. Dropping it ends nothing.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(super) number: u64,
    pub(super) main: i32,
    pub(super) reaped: bool,
    pub(super) grouped: bool,
    pub(super) marks: Arc<Marks>,
    pub(super) cgroup: Option<Group>,
}

impl Tree {
    /// Sends a signal (Linux number) to the main process, or with `whole` to all that belong to it
    /// as well, the main one first. Whether anybody got it.
    pub(crate) fn signal(&self, signal: i32, whole: bool) -> bool {
        // Who descends from it shows only as long as it lives.
        let mut members = HashMap::new();
        if whole {
            let listed = self.cgroup.iter().flat_map(Group::members);
            members.extend(listed.filter_map(|pid| Some((pid, Process::find(pid)?.start))));
            self.visit(|process| {
                members.insert(process.pid, process.start);
            });
        }
        let mut reached = !self.reaped && send::to_pid(self.main, signal);
        if !self.reaped {
            members.remove(&self.main);
        }
        for (pid, start) in members {
            reached |= send_to(pid, start, signal);
        }
        reached
    }

    /// Kills all of it, and comes back when nobody is left, or after two seconds. Those that were
    /// found are stopped first, or new ones would be made faster than old ones are found.
    pub(crate) fn kill(&mut self) {
        let deadline = Instant::now() + LONGEST;
        if let Some(group) = &self.cgroup {
            group.kill(deadline);
        }
        if !self.reaped {
            send::to_group(self.main, libc::SIGSTOP);
        }
        for _ in 0..ROUNDS {
            let stopped = self.stop_all(deadline);
            for (pid, start) in &stopped {
                send_to(*pid, *start, libc::SIGKILL);
            }
            if !self.reaped {
                // Also where /proc shows nothing.
                send::to_group(self.main, libc::SIGKILL);
                send::to_pid(self.main, libc::SIGKILL);
            }
            if stopped.is_empty() || Instant::now() >= deadline {
                return;
            }
            thread::sleep(PAUSE);
        }
    }

    /// Whether nobody is left; a process that only waits to be reaped does not count.
    pub(crate) fn is_empty(&self) -> bool {
        if self.cgroup.as_ref().is_some_and(|group| !group.is_empty()) {
            return false;
        }
        let mut empty = true;
        self.visit(|_| empty = false);
        empty
    }

    /// The main process was waited for: from now on its number means nothing.
    pub(crate) fn main_reaped(&mut self) {
        self.reaped = true;
    }

    /// Stops everybody, until a search finds nobody new: the number and start of each.
    fn stop_all(&self, deadline: Instant) -> HashSet<(i32, u64)> {
        let mut stopped = HashSet::new();
        loop {
            let before = stopped.len();
            self.visit(|process| {
                if stopped.insert((process.pid, process.start)) {
                    process.send(libc::SIGSTOP);
                }
            });
            if stopped.len() == before || Instant::now() >= deadline {
                return stopped;
            }
        }
    }

    fn visit(&self, act: impl FnMut(&Process)) {
        let signs = Signs {
            marks: &self.marks,
            number: self.number,
            grouped: self.grouped,
            main: self.main,
            reaped: self.reaped,
        };
        signs.visit(act);
    }
}

/// To a process that was seen before, unless it is gone.
fn send_to(pid: i32, start: u64, signal: i32) -> bool {
    Process::find(pid).is_some_and(|found| found.start == start && found.send(signal))
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
