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
    names::{Filters, Labels, Marks, label},
    owners::Owners,
};

/// Looks at a name that is taken, and the time between two: 5 s, since unpacking an image counts.
const LOOKS: usize = 50;
const PAUSE: Duration = Duration::from_millis(100);

/// A container, and whose it is.
pub(crate) struct Found {
    pub(crate) container: ContainerInspectResponse,
    /// Its own labels; of one that was made ahead, what its owner's file says.
    pub(crate) labels: Labels,
}

impl Found {
    pub(crate) fn new(
        owners: &Owners,
        marks: &Marks<'_>,
        container: ContainerInspectResponse,
    ) -> Self {
        let config = container.config.as_ref();
        let own = config.and_then(|config| config.labels.clone());
        let mut labels = own.unwrap_or_default();
        if !marks.value(&labels, label::POOL).is_empty() {
            let name = container.name.as_deref().unwrap_or_default();
            let owner = owners.read(name.trim_start_matches('/'));
            labels = owner
                .filter(|owner| Some(&owner.container) == container.id.as_ref())
                .map(|owner| owner.labels)
                .unwrap_or_default();
        }
        Self { container, labels }
    }

    pub(crate) fn id(&self) -> String {
        self.container.id.clone().unwrap_or_default()
    }
}

/// The sandbox's container, by its id where that is known, else by what is known of its owner.
///
/// # Errors
/// `SandboxGone` where there is none, and, in the same words, where it is not the context's.
pub(crate) async fn container(
    docker: &Docker,
    owners: &Owners,
    marks: &Marks<'_>,
    id: &str,
) -> Result<Found, ProviderError> {
    let found = match id {
        "" => existing(docker, owners, marks).await?,
        // The id becomes part of a URL.
        id if id.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            let found = inspect(docker, id).await?;
            found.map(|found| Found::new(owners, marks, found))
        }
        _ => None,
    };
    found
        .filter(|found| marks.own(&found.labels))
        .ok_or_else(gone)
}

/// The sandbox's container if it has one.
pub(crate) async fn existing(
    docker: &Docker,
    owners: &Owners,
    marks: &Marks<'_>,
) -> Result<Option<Found>, Fault> {
    let listed = listed(docker, &marks.sandbox_filter()).await?;
    let labelled = listed.into_iter().find_map(|container| container.id);
    let id = labelled.or_else(|| {
        let all = owners.all().into_iter();
        let mut own = all.filter(|(_, owner)| marks.own(&owner.labels));
        own.next().map(|(_, owner)| owner.container)
    });
    let found = match id {
        Some(id) => inspect(docker, &id).await?,
        None => None,
    };
    let found = found.map(|found| Found::new(owners, marks, found));
    Ok(found.filter(|found| marks.own(&found.labels)))
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

/// The answer about a sandbox that is gone or somebody else's.
pub(crate) fn gone() -> ProviderError {
    ProviderError::new(
        Kind::SandboxGone,
        "the engine has no such sandbox; create it anew",
    )
}
