//! What the gateway's health service says.

use std::time::{Duration, Instant};

use sandgate_system::Client;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

/// How long it may take until a change of the store is seen: a look, and the wait for a lock.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until all services are said to serve, or all not to.
pub(crate) async fn until(client: &Client, serving: bool) {
    let wanted = match serving {
        true => ServingStatus::Serving,
        false => ServingStatus::NotServing,
    };
    let begun = Instant::now();
    for service in ["", "sandbox.v1.SandboxService", "sandbox.v1.SessionService"] {
        while status(client, service).await != wanted {
            assert!(begun.elapsed() < PATIENCE, "{service:?} is not {wanted:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn status(client: &Client, service: &str) -> ServingStatus {
    let request = HealthCheckRequest {
        service: service.to_owned(),
    };
    let checked = HealthClient::new(client.channel.clone())
        .check(request)
        .await;
    checked.unwrap().into_inner().status()
}
