//! How fast the gateway's own tasks go.

use std::time::Duration;

use crate::clock::span;

/// Longest time between two tries.
const LONGEST: Duration = Duration::from_secs(600);

/// How often tasks look for work, and how long they wait. The same for every installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Between two looks for what is due.
    pub interval: Duration,
    /// Before the first new try of what failed; each later one waits twice as long, up to ten minutes.
    pub first_retry: Duration,
    /// How long the delete of a session waits for its sandboxes, at most.
    pub delete_wait: Duration,
    /// After which what a gateway was doing with a sandbox is taken over by another, unless it says
    /// that it is still at it.
    pub takeover: Duration,
    /// How long a look at a sandbox is claimed: nobody else looks at it, unless the claimer is dead.
    pub claim: Duration,
    /// Uses of a sandbox that come faster than this are noted together.
    pub touch: Duration,
    /// Between two comparisons of a provider's upstream with the store.
    pub compare: Duration,
    /// How long something may be missing, or unknown, before that counts.
    pub grace: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            interval: Duration::from_millis(500),
            first_retry: Duration::from_secs(5),
            delete_wait: Duration::from_secs(100),
            takeover: Duration::from_secs(10),
            claim: Duration::from_secs(60),
            touch: Duration::from_secs(30),
            compare: Duration::from_secs(600),
            grace: Duration::from_secs(60),
        }
    }
}

impl Pace {
    /// Milliseconds before the next try of what was tried again so often in vain.
    pub(crate) fn retry(&self, tries: i64) -> i64 {
        let doublings = u32::try_from(tries.clamp(0, 16)).unwrap_or_default();
        span(self.first_retry.saturating_mul(1 << doublings).min(LONGEST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_between_tries_grows_up_to_ten_minutes() {
        let pace = Pace::default();
        let seconds = [0, 1, 2, 6, 7, i64::MAX].map(|tries| pace.retry(tries) / 1000);
        assert_eq!(seconds, [5, 10, 20, 320, 600, 600]);
    }
}
