//! Freezes a sandbox in memory and lets it go on.

use bollard::{Docker, models::ContainerStateStatusEnum as Status};
use sandgate_kit::{CallContext, Instance, Kind, Provider as _, ProviderError};

use crate::{Container, call, container::status, fault::Fault, find};

impl Container {
    /// Freezes a sandbox that runs.
    pub(crate) async fn freeze(
        &self,
        context: &CallContext,
        hibernate: bool,
    ) -> Result<Instance, ProviderError> {
        if hibernate {
            return Err(ProviderError::new(
                Kind::Unsupported("hibernate"),
                "containers cannot be hibernated; pause the sandbox without hibernate, which keeps its memory, or stop it",
            ));
        }
        let docker = self.engine.docker().await?;
        let found = self.find(&docker, context).await?;
        match status(&found.container) {
            Some(Status::PAUSED) => {}
            Some(Status::RUNNING) => {
                let paused = call::PAUSE.run(docker.pause_container(&found.id())).await;
                settled(&docker, &found.id(), Status::PAUSED, paused).await?;
            }
            _ => return Err(not_running()),
        }
        self.get(context).await
    }
}

/// Lets a container go on if it is frozen, so that what is asked of it next reaches its processes.
pub(crate) async fn thaw(docker: &Docker, id: &str) -> Result<(), ProviderError> {
    let thawed = call::UNPAUSE.run(docker.unpause_container(id)).await;
    settled(docker, id, Status::RUNNING, thawed).await
}

/// Whether a change that the engine refused had been made by somebody else.
async fn settled(
    docker: &Docker,
    id: &str,
    due: Status,
    done: Result<(), Fault>,
) -> Result<(), ProviderError> {
    let Err(fault) = done else {
        return Ok(());
    };
    let found = find::inspect(docker, id).await?.ok_or_else(find::gone)?;
    match status(&found) {
        Some(now) if now == due => Ok(()),
        Some(Status::RUNNING | Status::PAUSED) | None => Err(fault.into()),
        Some(_) => Err(not_running()),
    }
}

fn not_running() -> ProviderError {
    ProviderError::new(
        Kind::NotRunning,
        "the sandbox is not running; start it first",
    )
}
