//! Where the time comes from: the system, or a hand that sets it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

/// Milliseconds since the Unix epoch.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Stored milliseconds, on the wire.
pub(crate) fn timestamp(millis: i64) -> prost_types::Timestamp {
    let since = Duration::from_millis(u64::try_from(millis).unwrap_or_default());
    (UNIX_EPOCH + since).into()
}

/// A time on the wire, to be stored; none where it is before the epoch or absurdly far.
pub(crate) fn millis(time: prost_types::Timestamp) -> Option<i64> {
    let time = SystemTime::try_from(time).ok()?;
    i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
}

/// A length of time, to be added to stored ones.
pub(crate) fn span(length: Duration) -> i64 {
    i64::try_from(length.as_millis()).unwrap_or(i64::MAX)
}

/// The clock that sandboxes live by. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System { begin: Instant },
    Manual(watch::Sender<Hands>),
}

/// What a clock that is set by hand shows.
#[derive(Clone, Copy, Debug)]
struct Hands {
    wall: i64,
    steady: Duration,
}

impl Default for Clock {
    fn default() -> Self {
        Self(Source::System {
            begin: Instant::now(),
        })
    }
}

impl Clock {
    /// A clock that stands still until it is moved; begins at the present time.
    pub fn manual() -> Self {
        let hands = Hands {
            wall: now(),
            steady: Duration::ZERO,
        };
        Self(Source::Manual(watch::Sender::new(hands)))
    }

    /// Lets time pass. Moves no clock but a manual one.
    pub fn advance(&self, time: Duration) {
        self.move_hands(|hands| {
            hands.wall += span(time);
            hands.steady += time;
        });
    }

    /// Sets the wall clock alone, as a correction by the network or a suspended machine does. Moves
    /// no clock but a manual one.
    pub fn jump(&self, millis: i64) {
        self.move_hands(|hands| hands.wall += millis);
    }

    fn move_hands(&self, change: impl FnOnce(&mut Hands)) {
        if let Source::Manual(hands) = &self.0 {
            hands.send_modify(change);
        }
    }

    /// Milliseconds since the Unix epoch.
    pub(crate) fn now(&self) -> i64 {
        match &self.0 {
            Source::System { .. } => now(),
            Source::Manual(hands) => hands.borrow().wall,
        }
    }

    /// Time that only goes forward, at its own pace, whatever is done to the wall clock.
    pub(crate) fn steady(&self) -> Duration {
        match &self.0 {
            Source::System { begin } => begin.elapsed(),
            Source::Manual(hands) => hands.borrow().steady,
        }
    }

    /// [`Self::now`] and [`Self::steady`] of one moment.
    pub(crate) fn read(&self) -> (i64, Duration) {
        match &self.0 {
            Source::System { begin } => (now(), begin.elapsed()),
            Source::Manual(hands) => {
                let hands = hands.borrow();
                (hands.wall, hands.steady)
            }
        }
    }

    /// Waits for so long.
    pub(crate) async fn sleep(&self, time: Duration) {
        match &self.0 {
            Source::System { .. } => tokio::time::sleep(time).await,
            Source::Manual(hands) => {
                let end = self.steady() + time;
                // The sender is held here, so that waiting cannot fail.
                let _ = hands
                    .subscribe()
                    .wait_for(|hands| hands.steady >= end)
                    .await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_manual_clock_stands_until_it_is_moved() {
        let clock = Clock::manual();
        let (wall, steady) = (clock.now(), clock.steady());
        let mut slept = Box::pin(clock.sleep(Duration::from_secs(2)));
        assert!(slept.as_mut().now_or_never().is_none());
        clock.jump(60_000);
        assert!(
            slept.as_mut().now_or_never().is_none(),
            "no time has passed"
        );
        clock.advance(Duration::from_secs(2));
        slept.await;
        assert_eq!(clock.now(), wall + 62_000);
        assert_eq!(clock.steady(), steady + Duration::from_secs(2));
    }
}
