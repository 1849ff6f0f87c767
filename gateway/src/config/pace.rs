//! How fast the gateway's own tasks go.

use std::time::Duration;

/// How often tasks look for work, and how long they wait. The same for every installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Between two looks for sessions that expired or of which something is left.
    pub interval: Duration,
    /// Before the first new try of a clean-up that failed; each later one waits twice as long.
    pub first_retry: Duration,
    /// How long the delete of a session waits for its sandboxes, at most.
    pub delete_wait: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(2),
            first_retry: Duration::from_secs(5),
            delete_wait: Duration::from_secs(100),
        }
    }
}
