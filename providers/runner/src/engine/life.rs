//! The end of a process: reaped, timed out, cancelled, killed.

use std::time::{Duration, Instant};

use rustix::process::WaitStatus;

use super::Engine;
use crate::{
    execution::{Ending, Phase},
    timers::Due,
};

/// How long the last output of a terminal may take to arrive.
const TERMINAL: Duration = Duration::from_millis(20);

impl Engine {
    /// Takes in all processes that are over.
    pub(super) fn reap(&mut self) {
        for (number, status) in self.reaper.reap() {
            self.reaped(number, status);
        }
    }

    /// The process of an execution is over.
    pub(super) fn reaped(&mut self, number: u64, status: WaitStatus) {
        let oom = self.sees_oom(status);
        let Some(execution) = self.executions.get_mut(&number) else {
            return;
        };
        execution.phase = Phase::Reaped;
        execution.status = Some(status);
        execution.oom_killed = oom && !execution.was_killed;
        if let Some(tree) = &mut execution.tree {
            tree.main_reaped();
        }
        if execution.ending.is_some() {
            // What it started goes with it, also what ignores TERM.
            self.kills.push_back(number);
        } else {
            self.conclude(number);
        }
    }

    /// Whether memory ran out since this was last asked.
    fn sees_oom(&mut self, status: WaitStatus) -> bool {
        if status.terminating_signal() != Some(libc::SIGKILL) || !self.keeper.sees_oom() {
            return false;
        }
        let kills = self.keeper.oom_kills();
        std::mem::replace(&mut self.oom_kills, kills) < kills
    }

    /// The process is over and nothing more is to be killed: fetches its last output, then ends it.
    fn conclude(&mut self, number: u64) {
        if self.drain(number) {
            self.finish(number, None);
        } else {
            self.timers
                .add(Instant::now() + TERMINAL, Due::Drained(number));
        }
    }

    /// The timeout of an execution is over. A process that was over before has its own outcome.
    pub(super) fn time_out(&mut self, number: u64) {
        self.reap();
        self.end(number, Ending::TimedOut);
    }

    /// Ends a tree, with the grace time that it was started with.
    pub(super) fn end(&mut self, number: u64, ending: Ending) {
        if let Some(execution) = self.executions.get(&number) {
            let grace = execution.grace;
            self.begin_ending(number, ending, grace);
        }
    }

    /// Ends a tree: TERM now, KILL after the grace time. The first reason counts.
    pub(super) fn begin_ending(&mut self, number: u64, ending: Ending, grace: Duration) {
        let Some(execution) = self.executions.get_mut(&number) else {
            return;
        };
        if !execution.is_alive() || execution.ending.is_some() {
            return;
        }
        execution.ending = Some(ending);
        execution.grace = grace;
        if execution.phase == Phase::Running {
            execution.signal(libc::SIGTERM, true);
            // A stopped process takes TERM only when it goes on.
            execution.signal(libc::SIGCONT, false);
            self.timers.add(Instant::now() + grace, Due::Kill(number));
        }
    }

    /// The grace time of an execution is over.
    pub(super) fn kill_late(&mut self, number: u64) {
        let found = self.executions.get(&number);
        if found.is_some_and(|execution| execution.phase == Phase::Running) {
            self.kills.push_back(number);
        }
    }

    /// Kills one tree, which takes some milliseconds; the others have their turn after other work.
    /// Done here and not on another thread, where a pid could be reaped in the midst of it.
    pub(super) fn kill_one(&mut self) {
        let Some(number) = self.kills.pop_front() else {
            return;
        };
        let Some(execution) = self.executions.get_mut(&number) else {
            return;
        };
        if execution.phase == Phase::Ended {
            return;
        }
        if let Some(tree) = &mut execution.tree {
            tree.kill();
        }
        if execution.phase == Phase::Reaped {
            self.conclude(number);
        }
    }
}
