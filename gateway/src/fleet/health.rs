//! Asks an endpoint what it can do, again and again; its answer is its health.

use std::{sync::Arc, time::Duration};

use sandgate_service::Drain;

use super::{Endpoint, Lane};

/// Time between two checks.
const INTERVAL: Duration = Duration::from_secs(3);
/// How long a check may take.
const PATIENCE: Duration = Duration::from_secs(3);

pub(super) async fn watch(endpoint: Arc<Endpoint>, lane: Lane, drain: Drain) {
    while !drain.is_started() {
        let result = lane.capabilities(None, PATIENCE).await;
        let well = result.is_ok();
        let before = endpoint.seen();
        if before.time.is_none() || before.problem.is_none() != well {
            match &result {
                Ok(capabilities) => tracing::info!(
                    provider = &*lane.provider,
                    version = capabilities.version,
                    "provider is up"
                ),
                Err(problem) => {
                    tracing::warn!(provider = &*lane.provider, %problem, "provider is not well");
                }
            }
        }
        endpoint.saw(result);
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            () = drain.started() => {}
        }
    }
}
