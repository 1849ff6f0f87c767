//! Has a provider take away, now and then, what nobody else can know of.

use std::{sync::Arc, time::Duration};

use sandgate_service::Drain;
use tokio::time::{sleep, timeout};

use crate::Provider;

/// Between two sweeps.
const INTERVAL: Duration = Duration::from_secs(10 * 60);
/// How long one may take; the next goes on.
const LIMIT: Duration = Duration::from_secs(5 * 60);

/// Sweeps at once and then in intervals, until the server begins to end.
pub(crate) async fn sweep_on<P: Provider>(provider: Arc<P>, drain: Drain) {
    while !drain.is_started() {
        tokio::select! {
            () = once(&*provider) => {}
            () = drain.started() => return,
        }
        tokio::select! {
            () = sleep(INTERVAL) => {}
            () = drain.started() => return,
        }
    }
}

async fn once<P: Provider>(provider: &P) {
    let id = provider.id();
    match timeout(LIMIT, Box::pin(provider.sweep())).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(provider = id, %error, "not all leftovers could be taken away; it is tried again");
        }
        Err(_) => {
            tracing::warn!(
                provider = id,
                "taking away leftovers took too long; it is tried again"
            );
        }
    }
}
