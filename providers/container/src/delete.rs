//! Deletes a sandbox: its containers and networks, and what it has on the host.

use std::time::Duration;

use bollard::Docker;
use sandgate_kit::{CallContext, ProviderError};

use crate::{Container, find, owners::Owner, remove};

impl Container {
    /// Removes all that was made for the sandbox of the context.
    pub(crate) async fn remove_all(&self, context: &CallContext) -> Result<(), ProviderError> {
        let docker = self.engine.docker().await?;
        let engine = self.engine.facts().await?.id.clone();
        let marks = self.marks(context);
        remove::everything(&docker, &marks.sandbox_filter()).await?;
        for (name, owner) in self.owners.all() {
            if owner.engine == engine && marks.own(&owner.labels) {
                self.remove_owned(&docker, &name, &owner).await?;
            }
        }
        self.remove_slots(&docker, &marks.container(), &engine)
            .await
    }

    /// Removes a sandbox that was made ahead.
    pub(crate) async fn remove_owned(
        &self,
        docker: &Docker,
        name: &str,
        owner: &Owner,
    ) -> Result<(), ProviderError> {
        remove::container(docker, &owner.container).await?;
        if !owner.network.is_empty() {
            remove::network(docker, &owner.network).await?;
        }
        self.remove_slot(owner.slot.clone()).await;
        self.owners.remove(name);
        Ok(())
    }

    /// Removes the folders of a sandbox whose container is gone.
    async fn remove_slots(
        &self,
        docker: &Docker,
        name: &str,
        engine: &str,
    ) -> Result<(), ProviderError> {
        // A container that is there still is somebody else's.
        let Some(host) = &self.ways.host else {
            return Ok(());
        };
        if find::inspect(docker, name).await?.is_some() {
            return Ok(());
        }
        let names = host.names(Duration::ZERO, engine).unwrap_or_default();
        let own = format!("{name}.");
        for slot in names.into_iter().filter(|slot| slot.starts_with(&own)) {
            self.remove_slot(slot).await;
        }
        Ok(())
    }
}
