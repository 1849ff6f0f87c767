//! Time that passed while the whole sandbox was frozen: it counts against nobody's timeout.

use std::time::{Duration, Instant};

use super::Engine;
use crate::{
    execution::Execution,
    timers::{Due, Timers},
};

/// While something is timed, the runner looks at the clock this often.
const TICK: Duration = Duration::from_secs(1);
/// Being so much later than it asked to be, it was frozen; a busy machine is not that slow.
const FROZEN: Duration = Duration::from_secs(2);

/// When the runner last looked at the clock.
#[derive(Debug)]
pub(super) struct Clock(Instant);

impl Default for Clock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock {
    /// How long to wait for something that is due after `next`; none: nothing is timed, and so
    /// nothing can be put off.
    pub(super) fn bounded(&mut self, next: Option<Duration>) -> Option<Duration> {
        next.map(|next| next.min(TICK))
    }

    /// How much later it is than it should be after a wait of at most `asked`.
    fn late(&mut self, asked: Option<Duration>) -> Option<Duration> {
        let now = Instant::now();
        let passed = now.saturating_duration_since(std::mem::replace(&mut self.0, now));
        passed.checked_sub(asked?).filter(|late| *late > FROZEN)
    }
}

impl Engine {
    /// After a wait of at most `asked`: puts off what is timed by the time of a freeze. A wait in
    /// which nothing happened leaves time to drop the timers that are over, so that a runner with
    /// nothing to do sleeps without end.
    pub(super) fn notice_freeze(&mut self, asked: Option<Duration>, idle: bool) {
        if let Some(late) = self.clock.late(asked) {
            self.timers.shift(late);
        }
        if idle {
            let (timers, lives) = self.timers_and_lives();
            timers.prune(lives);
        }
    }

    /// Drops the timers that are over now and then.
    pub(super) fn sweep_timers(&mut self) {
        let (timers, lives) = self.timers_and_lives();
        timers.sweep(lives);
    }

    fn timers_and_lives(&mut self) -> (&mut Timers, impl Fn(Due) -> bool) {
        let (executions, connections) = (&self.executions, &self.connections);
        let lives = move |due| match due {
            Due::Timeout(number) | Due::Kill(number) => {
                executions.get(&number).is_some_and(Execution::is_alive)
            }
            Due::Look(connection, call) => connections
                .get(&connection)
                .is_some_and(|found| found.looks.contains_key(&call)),
            Due::Hello(connection) => connections.contains_key(&connection),
            Due::Drained(_) | Due::State | Due::Exit => true,
        };
        (&mut self.timers, lives)
    }
}
