//! How fast the gateway's own tasks go.

use std::time::Duration;

/// How often tasks look for work, and how long they wait. The same for every installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Between two looks for what is due.
    pub interval: Duration,
    /// Before the first new try of a clean-up that failed; each later one waits twice as long.
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
