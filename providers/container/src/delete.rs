//! Deletes a sandbox: its containers, networks and volumes, and what it has on the host.

use bollard::Docker;
use sandgate_kit::{CallContext, ProviderError};

use crate::{Container, names::Marks, owners::Owner, remove, step};

impl Container {
    /// Removes all that was made for the sandbox of the context, however far its making came.
    pub(crate) async fn remove_all(&self, context: &CallContext) -> Result<(), ProviderError> {
        let docker = self.engine.docker().await?;
        let engine = self.engine.facts().await?.id.clone();
        let marks = self.marks(context);
        let filters = marks.sandbox_filter();
        step::reached("container.delete.begin")?;
        remove::containers(&docker, &filters).await?;
        step::reached("container.delete.networks")?;
        remove::networks(&docker, &filters).await?;
        step::reached("container.delete.volumes")?;
        remove::volumes(&docker, &filters).await?;
        for (name, owner) in self.owners.all() {
            if owner.engine == engine && marks.own(&owner.labels) {
                self.remove_owned(&docker, &name, &owner).await?;
            }
        }
        step::reached("container.delete.slots")?;
        self.remove_slots(&marks, &engine).await?;
        step::reached("container.delete.end")
    }

    /// Removes a sandbox that was made ahead. Whose it is goes last, so that a repeated call finds
    /// the rest.
    pub(crate) async fn remove_owned(
        &self,
        docker: &Docker,
        name: &str,
        owner: &Owner,
    ) -> Result<(), ProviderError> {
        step::reached("container.delete.owned")?;
        remove::container(docker, &owner.container).await?;
        step::reached("container.delete.owned.network")?;
        if !owner.network.is_empty() {
            remove::network(docker, &owner.network).await?;
        }
        step::reached("container.delete.owned.slot")?;
        self.remove_slot(owner.slot.clone()).await;
        step::reached("container.delete.owned.file")?;
        self.owners.remove(name);
        Ok(())
    }

    /// Removes the folders of a sandbox whose containers are gone.
    async fn remove_slots(&self, marks: &Marks<'_>, engine: &str) -> Result<(), ProviderError> {
        for slot in self.slots(engine).await? {
            if marks.own(&slot.labels) {
                self.remove_slot(slot.name).await;
            }
        }
        Ok(())
    }
}
