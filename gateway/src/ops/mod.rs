//! What operators look at: health and reflection.

use std::{sync::Arc, time::Duration};

use sandgate_proto::{DESCRIPTOR_SET, ERROR_DETAILS_DESCRIPTOR_SET};
use sandgate_service::Drain;
use tonic::service::Routes;
use tonic_health::{ServingStatus, server::HealthReporter};
use tonic_reflection::server::{Builder, Error};

use crate::store::Store;

/// Time between two looks at the store: while it is well, and while it is not.
const INTERVAL: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_secs(1);

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

/// Keeps the health service telling the truth: serving while the store takes changes, until the drain.
pub(crate) async fn watch_health(reporter: HealthReporter, store: Arc<dyn Store>, drain: Drain) {
    let mut well = None;
    while !drain.is_started() {
        let probed = tokio::select! {
            probed = store.probe() => probed,
            () = drain.started() => break,
        };
        let now = probed.is_ok();
        if well.replace(now) != Some(now) {
            report(&reporter, now).await;
            match probed {
                Ok(()) => tracing::info!("the store takes changes"),
                Err(error) => tracing::error!(%error, "the store takes no changes"),
            }
        }
        tokio::select! {
            () = tokio::time::sleep(if now { INTERVAL } else { RETRY }) => {}
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
