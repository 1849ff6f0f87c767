//! How long, and how often, a lost link is made anew.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// In total, from the first loss.
const TOTAL: Duration = Duration::from_secs(15);
const FIRST_DELAY: Duration = Duration::from_millis(50);
const LONGEST_DELAY: Duration = Duration::from_secs(2);

/// What is left of it.
#[derive(Debug, Default)]
pub(super) struct Patience {
    state: Option<(Instant, Duration)>,
}

impl Patience {
    /// Waits before the next attempt; false once there is to be none.
    pub(super) async fn pause(&mut self) -> bool {
        let now = Instant::now();
        let (until, delay) = *self.state.get_or_insert((now + TOTAL, FIRST_DELAY));
        if now + delay > until {
            return false;
        }
        self.state = Some((until, (delay * 2).min(LONGEST_DELAY)));
        sleep(delay).await;
        true
    }
}
