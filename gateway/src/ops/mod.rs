//! What operators look at: health and reflection.

use std::{sync::Arc, time::Duration};

use sandgate_proto::{DESCRIPTOR_SET, ERROR_DETAILS_DESCRIPTOR_SET};
use sandgate_service::Drain;
use tonic::service::Routes;
use tonic_health::{ServingStatus, server::HealthReporter};
use tonic_reflection::server::{Builder, Error};

use crate::store::Store;

/// Time between two looks at the store.
const INTERVAL: Duration = Duration::from_secs(5);

/// Adds reflection, as clients of both versions expect it.
pub(crate) fn with_reflection(routes: Routes) -> Result<Routes, Error> {
    let builder = || {
        Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(ERROR_DETAILS_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET)
    };
    Ok(routes
        .add_service(builder().build_v1()?)
        .add_service(builder().build_v1alpha()?))
}

/// Keeps the health service telling the truth: serving while the store answers, until the drain.
pub(crate) async fn watch_health(reporter: HealthReporter, store: Arc<dyn Store>, drain: Drain) {
    let mut well = None;
    while !drain.is_started() {
        let now = match store.gateway_id().await {
            Ok(_) => true,
            Err(error) => {
                tracing::error!(%error, "the store does not answer");
                false
            }
        };
        if well.replace(now) != Some(now) {
            report(&reporter, now).await;
        }
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            () = drain.started() => {}
        }
    }
    report(&reporter, false).await;
}

/// What probes are told from now on.
pub(crate) async fn report(reporter: &HealthReporter, well: bool) {
    let status = if well {
        ServingStatus::Serving
    } else {
        ServingStatus::NotServing
    };
    for service in ["", "sandbox.v1.SandboxService", "sandbox.v1.SessionService"] {
        reporter.set_service_status(service, status).await;
    }
}
