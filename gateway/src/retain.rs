//! Removes rows that are older than they need be, little by little.

use std::{fmt, future::Future, time::Duration};

use sandgate_service::Drain;
use tokio::time::sleep;

use crate::clock;

/// Time between two rounds.
const INTERVAL: Duration = Duration::from_secs(3600);
/// Time until the next round where one failed.
const RETRY: Duration = Duration::from_secs(60);
/// Rows that one transaction removes, and the pause until the next, so that others get their turn.
const BATCH: u32 = 500;
const PAUSE: Duration = Duration::from_millis(50);

/// Has rows removed that are older than `age`, each hour, until the drain begins. `remove` gets the
/// time before which to remove and how many at most; its answer is how many there were.
pub(crate) async fn retain<F, E>(
    what: &'static str,
    age: Duration,
    drain: Drain,
    remove: impl Fn(i64, u32) -> F,
) where
    F: Future<Output = Result<u64, E>>,
    E: fmt::Display,
{
    let age = clock::span(age);
    while !drain.is_started() {
        let pause = match remove(clock::now().saturating_sub(age), BATCH).await {
            Ok(removed) if removed == u64::from(BATCH) => PAUSE,
            Ok(_) => INTERVAL,
            Err(error) => {
                tracing::warn!(what, %error, "cannot remove what is too old");
                RETRY
            }
        };
        tokio::select! {
            () = sleep(pause) => {}
            () = drain.started() => {}
        }
    }
}
