//! Takes down what has our labels, and waits until it is gone.

use std::time::Duration;

use bollard::{
    Docker,
    query_parameters::{RemoveContainerOptionsBuilder, RemoveVolumeOptions},
};
use sandgate_kit::{Kind, ProviderError};
use sandgate_proto::Outcome;
use tokio::time::{Instant, sleep};

use crate::{call, fault::Fault, find, names::Filters, network, volume};

/// How long another removal of the same thing may take.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(100);

/// Removes every container that the filters find, then every network and volume. What is gone
/// already is no error.
pub(crate) async fn everything(docker: &Docker, filters: &Filters) -> Result<(), ProviderError> {
    containers(docker, filters).await?;
    networks(docker, filters).await?;
    volumes(docker, filters).await
}

/// Removes every container that the filters find, with the volumes that have no name.
pub(crate) async fn containers(docker: &Docker, filters: &Filters) -> Result<(), ProviderError> {
    let containers = find::listed(docker, filters).await?;
    for id in containers.into_iter().filter_map(|container| container.id) {
        container(docker, &id).await?;
    }
    Ok(())
}

/// Removes every network that the filters find.
pub(crate) async fn networks(docker: &Docker, filters: &Filters) -> Result<(), ProviderError> {
    let networks = network::all(docker, filters).await?;
    for id in networks.into_iter().filter_map(|network| network.id) {
        network(docker, &id).await?;
    }
    Ok(())
}

/// Removes every volume that the filters find.
pub(crate) async fn volumes(docker: &Docker, filters: &Filters) -> Result<(), ProviderError> {
    for found in volume::all(docker, filters).await? {
        let name = &found.name;
        let removed = once_free(
            "the sandbox's volume is still in use; delete the sandbox again",
            || call::REMOVE_VOLUME.run(docker.remove_volume(name, None::<RemoveVolumeOptions>)),
        );
        removed.await?;
    }
    Ok(())
}

/// Removes a container with its volumes.
pub(crate) async fn container(docker: &Docker, id: &str) -> Result<(), ProviderError> {
    let options = RemoveContainerOptionsBuilder::new()
        .force(true)
        .v(true)
        .build();
    match call::REMOVE_CONTAINER
        .run(docker.remove_container(id, Some(options)))
        .await
    {
        Ok(()) => Ok(()),
        Err(fault) if fault.is_gone() => Ok(()),
        // Somebody else is at it: «removal of container … is already in progress».
        Err(fault) if fault.status() == Some(409) => gone(docker, id, fault).await,
        Err(fault) => Err(fault.into()),
    }
}

/// Waits until a container that is being removed by somebody else is gone.
async fn gone(docker: &Docker, id: &str, why: Fault) -> Result<(), ProviderError> {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if find::inspect(docker, id).await?.is_none() {
            return Ok(());
        }
        sleep(PAUSE).await;
    }
    Err(stuck(
        why,
        "the container is still being removed; delete the sandbox again",
    ))
}

/// Removes a network whose container is gone or going.
pub(crate) async fn network(docker: &Docker, id: &str) -> Result<(), ProviderError> {
    let busy = "the sandbox's network is still in use; delete the sandbox again";
    once_free(busy, || call::REMOVE_NETWORK.run(docker.remove_network(id))).await
}

/// Removes something that its container may still have for a moment: «… has active endpoints»,
/// «volume is in use». What is gone is no error.
async fn once_free<R: Future<Output = Result<(), Fault>>>(
    busy: &str,
    remove: impl Fn() -> R,
) -> Result<(), ProviderError> {
    let end = Instant::now() + PATIENCE;
    loop {
        match remove().await {
            Ok(()) => return Ok(()),
            Err(fault) if fault.is_gone() => return Ok(()),
            Err(fault) if matches!(fault.status(), Some(403 | 409)) => {
                if Instant::now() >= end {
                    return Err(stuck(fault, busy));
                }
                sleep(PAUSE).await;
            }
            Err(fault) => return Err(fault.into()),
        }
    }
}

fn stuck(fault: Fault, message: &str) -> ProviderError {
    fault.told(Kind::Unavailable(Outcome::Ambiguous), message)
}
