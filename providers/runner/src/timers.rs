//! What has to happen at a certain moment: a heap from which what is over is dropped late.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    time::{Duration, Instant},
};

/// Below this many entries nothing is swept.
const SMALL: usize = 1024;

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Due {
    /// The timeout of an execution.
    Timeout(u64),
    /// KILL, after TERM, for an execution.
    Kill(u64),
    /// The end of the wait for the last output of a terminal.
    Drained(u64),
    /// A Look has waited long enough: connection and call.
    Look(u64, u64),
    /// A connection must have said Hello.
    Hello(u64),
    /// The state of the execution is to be written.
    State,
    /// Nobody is waited for any more: the runner ends.
    Exit,
}

/// Moments in their order, by the monotonic clock.
#[derive(Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, Due)>>,
    swept: usize,
}

impl Timers {
    /// Adds a moment.
    pub(crate) fn add(&mut self, at: Instant, due: Due) {
        self.heap.push(Reverse((at, due)));
    }

    /// The next thing that is due.
    pub(crate) fn due(&mut self, now: Instant) -> Option<Due> {
        let Reverse((at, _)) = self.heap.peek()?;
        if *at > now {
            return None;
        }
        self.heap.pop().map(|Reverse((_, due))| due)
    }

    /// How long until something is due.
    pub(crate) fn next(&self, now: Instant) -> Option<Duration> {
        let Reverse((at, _)) = self.heap.peek()?;
        Some(at.saturating_duration_since(now))
    }

    /// Puts everything off by so much: the runner was frozen, and what it times stood still too.
    pub(crate) fn shift(&mut self, by: Duration) {
        let later = |Reverse((at, due))| Reverse((at + by, due));
        self.heap = std::mem::take(&mut self.heap)
            .into_iter()
            .map(later)
            .collect();
    }

    /// Drops what is over now.
    pub(crate) fn prune(&mut self, mut lives: impl FnMut(Due) -> bool) {
        self.heap.retain(|Reverse((_, due))| lives(*due));
        self.swept = self.heap.len();
    }

    /// Drops what is over, whenever the heap has doubled: an hour's timeout of a command that took a
    /// millisecond does not stay for an hour.
    pub(crate) fn sweep(&mut self, lives: impl FnMut(Due) -> bool) {
        if self.heap.len() >= SMALL.max(2 * self.swept) {
            self.prune(lives);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_order_and_swept() {
        let (mut timers, now) = (Timers::default(), Instant::now());
        for number in 0..2000u64 {
            timers.add(now + Duration::from_secs(number), Due::Timeout(number));
        }
        assert_eq!(timers.due(now), Some(Due::Timeout(0)));
        assert_eq!(timers.due(now), None);
        assert_eq!(timers.next(now), Some(Duration::from_secs(1)));
        timers.sweep(|due| due == Due::Timeout(7));
        assert_eq!(timers.next(now), Some(Duration::from_secs(7)));
        assert_eq!(timers.heap.len(), 1);
        timers.shift(Duration::from_secs(3));
        assert_eq!(timers.next(now), Some(Duration::from_secs(10)));
    }
}
