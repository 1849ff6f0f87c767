//! Finds the container of a sandbox, and makes sure that it is the one that the context owns.

use std::time::Duration;

use bollard::{
    Docker,
    models::{ContainerInspectResponse, ContainerSummary},
    query_parameters::{InspectContainerOptions, ListContainersOptionsBuilder},
};
use sandgate_kit::{Kind, ProviderError};
use tokio::time::sleep;

use crate::{
    call,
    fault::Fault,
    names::{Filters, Marks},
};

/// Looks at a name that is taken, and the time between two: 5 s, since unpacking an image counts.
const LOOKS: usize = 50;
const PAUSE: Duration = Duration::from_millis(100);

/// The sandbox's container, by its id where that is known, else by its labels.
///
/// # Errors
/// `SandboxGone` where there is none, and, in the same words, where it is not the context's.
pub(crate) async fn container(
    docker: &Docker,
    marks: &Marks<'_>,
    id: &str,
) -> Result<ContainerInspectResponse, ProviderError> {
    let found = match id {
        "" => by_label(docker, marks).await?,
        // The id becomes part of a URL.
        id if id.bytes().all(|byte| byte.is_ascii_hexdigit()) => inspect(docker, id).await?,
        _ => None,
    };
    found
        .filter(|container| owned(marks, container))
        .ok_or_else(gone)
}

/// The sandbox's container if it has one, by its labels.
pub(crate) async fn by_label(
    docker: &Docker,
    marks: &Marks<'_>,
) -> Result<Option<ContainerInspectResponse>, Fault> {
    let found = listed(docker, &marks.sandbox_filter()).await?;
    match found.into_iter().find_map(|container| container.id) {
        Some(id) => inspect(docker, &id).await,
        None => Ok(None),
    }
}

/// Every container that the filters find, running or not.
pub(crate) async fn listed(
    docker: &Docker,
    filters: &Filters,
) -> Result<Vec<ContainerSummary>, Fault> {
    let options = ListContainersOptionsBuilder::new()
        .all(true)
        .filters(filters)
        .build();
    call::LIST.run(docker.list_containers(Some(options))).await
}

/// One container, if it is there.
pub(crate) async fn inspect(
    docker: &Docker,
    id: &str,
) -> Result<Option<ContainerInspectResponse>, Fault> {
    match call::INSPECT
        .run(docker.inspect_container(id, None::<InspectContainerOptions>))
        .await
    {
        Ok(container) => Ok(Some(container)),
        Err(fault) if fault.is_gone() => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// The container of a name that the engine says is taken. It gives a name away a little before
/// there is a container to look at.
pub(crate) async fn named(
    docker: &Docker,
    name: &str,
) -> Result<Option<ContainerInspectResponse>, Fault> {
    for _ in 0..LOOKS {
        let found = inspect(docker, name).await?;
        if found.is_some() {
            return Ok(found);
        }
        sleep(PAUSE).await;
    }
    Ok(None)
}

/// Whether a container is the sandbox of the context.
pub(crate) fn owned(marks: &Marks<'_>, container: &ContainerInspectResponse) -> bool {
    let labels = container
        .config
        .as_ref()
        .and_then(|config| config.labels.as_ref());
    labels.is_some_and(|labels| marks.own(labels))
}

/// The answer about a sandbox that is gone or somebody else's.
pub(crate) fn gone() -> ProviderError {
    ProviderError::new(
        Kind::SandboxGone,
        "the engine has no such sandbox; create it anew",
    )
}
