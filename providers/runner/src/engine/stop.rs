//! The end of the runner: trees first, then what is still to be said, then itself.

use std::time::{Duration, Instant};

use super::Engine;
use crate::{
    execution::{Ending, Phase},
    timers::Due,
};

/// How long what is still to be said may take.
const FLUSH: Duration = Duration::from_secs(1);
/// How long trees may take to end, once KILL was sent.
const KILLED: Duration = Duration::from_secs(5);
/// How long standard output may take no byte, where it alone gets the output.
const SILENCE: Duration = Duration::from_secs(60);

/// How far the end of the runner has come.
#[derive(Debug, Default)]
pub(super) struct Stop {
    begun: bool,
    /// All executions have ended; what waits is being written.
    flushing: bool,
    over: bool,
    progress: Option<Instant>,
}

impl Stop {
    /// Whether nothing may be started any more.
    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    /// Standard output took something.
    pub(super) fn note_progress(&mut self) {
        self.progress = Some(Instant::now());
    }
}

impl Engine {
    /// Whether the runner is to end now.
    pub(super) fn is_over(&self) -> bool {
        let is_idle =
            || self.dirty.is_empty() && self.connections.values().all(|found| found.is_idle());
        self.stop.over || (self.stop.flushing && is_idle())
    }

    /// Ends all trees, then the runner.
    pub(super) fn begin_stop(&mut self, grace: Duration, by: &str) {
        if self.stop.begun {
            return;
        }
        self.stop.begun = true;
        let by = if by.is_empty() { "SANDBOX_STOPPED" } else { by };
        let alive: Vec<u64> = self
            .executions
            .values()
            .filter(|found| found.is_alive())
            .map(|found| found.number)
            .collect();
        for number in alive {
            self.begin_ending(number, Ending::Cancelled(by.to_owned()), grace);
        }
        self.timers.add(Instant::now() + grace + KILLED, Due::Exit);
        self.check_stop();
    }

    /// An execution may have been the last.
    pub(super) fn check_stop(&mut self) {
        let is_single_done = self.setup.is_single() && !self.executions.is_empty();
        if self.running == 0 && !self.stop.flushing && (self.stop.begun || is_single_done) {
            self.stop.flushing = true;
            self.stop.note_progress();
            self.timers.add(Instant::now() + FLUSH, Due::Exit);
        }
    }

    /// There was time enough, unless standard output alone gets the output and still takes it.
    pub(super) fn exit_soon(&mut self) {
        let primary = self
            .primary
            .and_then(|number| self.connections.get(&number));
        let is_reading = self
            .stop
            .progress
            .is_some_and(|last| last.elapsed() < SILENCE);
        if primary.is_some_and(|primary| !primary.is_idle()) && is_reading && !self.stop.begun {
            self.timers.add(Instant::now() + FLUSH, Due::Exit);
        } else {
            self.stop.over = true;
        }
    }

    /// Where no namespace ends with the runner, kills what executions left behind.
    pub(super) fn kill_what_is_left(&mut self) {
        if self.setup.is_init || !self.stop.begun {
            return;
        }
        let deadline = Instant::now() + KILLED;
        for execution in self.executions.values_mut().rev() {
            if let Some(tree) = &mut execution.tree
                && Instant::now() < deadline
                && (execution.phase != Phase::Ended || !tree.is_empty())
            {
                tree.kill();
            }
        }
    }
}
