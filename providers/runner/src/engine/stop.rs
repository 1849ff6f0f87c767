//! The end of the runner: trees first, then what is still to be said, then itself.

use std::time::{Duration, Instant};

use sandgate_runner_proto::v1::{Done, Shutdown, from_runner::Body};

use super::Engine;
use crate::{
    answer::{Answer, done, refused},
    execution::{Ending, Phase, Watcher},
    timers::Due,
};

/// Longest grace time, in milliseconds.
const GRACE: u64 = 600_000;
/// Longest stay after the last execution has ended, in milliseconds.
const LINGER: u64 = 600_000;
/// Calls that may wait for the last execution to end.
const WAITERS: usize = 64;

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
    /// How long to stay when all executions have ended, for whoever reads their output.
    linger: Option<Duration>,
    /// All executions have ended, and it stays.
    lingering: bool,
    /// Calls that wait for the last execution to end.
    waiters: Vec<Watcher>,
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

    /// Ends all executions on a provider's word, and the runner with them or some time later.
    pub(super) fn shut_down(&mut self, watcher: Watcher, asked: &Shutdown) -> Answer {
        let needed = Duration::from_millis(asked.only_if_idle_ms);
        let is_busy = self.running > 0 || self.last_activity().elapsed() < needed;
        if !needed.is_zero() && is_busy && !self.stop.begun {
            let message = "something runs, or ended too short a while ago; nothing was done";
            return Err(refused("BUSY", message));
        }
        let grace = Duration::from_millis(asked.grace_ms.min(GRACE));
        if asked.linger_ms == 0 {
            self.begin_stop(grace, &asked.by);
            return done(true);
        }
        if self.stop.waiters.len() >= WAITERS {
            let message = "too many calls wait for the end of the executions";
            return Err(refused("TOO_MANY_OBSERVERS", message));
        }
        if !self.stop.begun {
            let linger = Duration::from_millis(asked.linger_ms.min(LINGER));
            self.stop.linger = Some(linger);
            self.begin_ending_all(grace, &asked.by, linger);
        }
        self.stop.waiters.push(watcher);
        self.check_stop();
        Ok(None)
    }

    /// Ends all trees, then the runner.
    pub(super) fn begin_stop(&mut self, grace: Duration, by: &str) {
        if !self.stop.begun {
            self.begin_ending_all(grace, by, Duration::ZERO);
        } else if self.stop.linger.take().is_some() {
            // All were told to end before; of two grace times the shorter counts.
            for number in self.alive() {
                self.timers.add(Instant::now() + grace, Due::Kill(number));
            }
            self.timers.add(Instant::now() + grace + KILLED, Due::Exit);
        }
        self.check_stop();
    }

    fn begin_ending_all(&mut self, grace: Duration, by: &str, linger: Duration) {
        self.stop.begun = true;
        let by = if by.is_empty() { "SANDBOX_STOPPED" } else { by };
        for number in self.alive() {
            self.begin_ending(number, Ending::Cancelled(by.to_owned()), grace);
        }
        let last = Instant::now() + grace + KILLED + linger;
        self.timers.add(last, Due::Exit);
    }

    fn alive(&self) -> Vec<u64> {
        let alive = self.executions.values().filter(|found| found.is_alive());
        alive.map(|found| found.number).collect()
    }

    /// An execution may have been the last.
    pub(super) fn check_stop(&mut self) {
        let is_single_done = self.setup.is_single() && !self.executions.is_empty();
        if self.running > 0 || !(self.stop.begun || is_single_done) {
            return;
        }
        for (connection, call) in std::mem::take(&mut self.stop.waiters) {
            self.answer(connection, call, Body::Done(Done { delivered: true }));
        }
        if let Some(linger) = self.stop.linger
            && !is_single_done
        {
            if !self.stop.lingering {
                self.stop.lingering = true;
                self.timers.add(Instant::now() + linger, Due::Exit);
            }
        } else if !self.stop.flushing {
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
