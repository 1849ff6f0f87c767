//! Takes in processes that are over. One may be over before its pid is known to belong to an
//! execution, since it is started on another thread: such ends are kept while starts are under way.

use std::collections::{BTreeSet, HashMap};

use rustix::process::{WaitOptions, WaitStatus, wait};

/// Which pid belongs to which execution.
#[derive(Default)]
pub(crate) struct Reaper {
    pids: HashMap<i32, u64>,
    /// Starts that are under way, by the numbers of their executions, which only grow.
    under_way: BTreeSet<u64>,
    newest: u64,
    /// Ends of unknown processes, with the newest start at that moment: a later start cannot have
    /// made this process, only one that got its pid again.
    early: HashMap<i32, (u64, WaitStatus)>,
}

impl Reaper {
    /// A start is under way.
    pub(crate) fn begin(&mut self, number: u64) {
        self.under_way.insert(number);
        self.newest = number;
    }

    /// A start made this process; says how it ended if that is so already.
    pub(crate) fn register(&mut self, number: u64, pid: i32) -> Option<WaitStatus> {
        let early = self
            .early
            .remove(&pid)
            .filter(|(newest, _)| *newest >= number);
        if early.is_none() {
            self.pids.insert(pid, number);
        }
        self.finish(number);
        early.map(|(_, status)| status)
    }

    /// A start is over, with a process or without.
    pub(crate) fn finish(&mut self, number: u64) {
        self.under_way.remove(&number);
        match self.under_way.first() {
            None => self.early.clear(),
            Some(oldest) => self.early.retain(|_, (newest, _)| *newest >= *oldest),
        }
    }

    /// Takes in all that is over; answers the executions of which the process is.
    pub(crate) fn reap(&mut self) -> Vec<(u64, WaitStatus)> {
        let mut found = Vec::new();
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            found.extend(self.take(pid.as_raw_nonzero().get(), status));
        }
        found
    }

    fn take(&mut self, pid: i32, status: WaitStatus) -> Option<(u64, WaitStatus)> {
        if let Some(number) = self.pids.remove(&pid) {
            return Some((number, status));
        }
        if !self.under_way.is_empty() {
            self.early.insert(pid, (self.newest, status));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: i32) -> WaitStatus {
        let line = format!("exit {code}");
        let mut child = std::process::Command::new("sh")
            .args(["-c", &line])
            .spawn()
            .unwrap();
        let pid = rustix::process::Pid::from_child(&child);
        let waited = rustix::process::waitpid(Some(pid), WaitOptions::empty()).unwrap();
        drop(child.wait());
        waited.unwrap().1
    }

    #[test]
    fn early_ends_belong_to_starts_that_were_under_way() {
        let status = status(3);
        let mut reaper = Reaper::default();
        assert!(reaper.take(9, status).is_none() && reaper.early.is_empty());
        reaper.begin(1);
        assert!(reaper.take(10, status).is_none());
        reaper.begin(2);
        assert!(reaper.register(2, 10).is_none(), "the pid came again");
        assert_eq!(reaper.take(10, status).map(|(number, _)| number), Some(2));
        assert!(reaper.take(11, status).is_none());
        assert_eq!(
            reaper
                .register(1, 11)
                .and_then(|status| status.exit_status()),
            Some(3)
        );
        assert!(reaper.early.is_empty() && reaper.pids.is_empty());
    }
}
