//! Takes away what a provider that was killed has left.

use std::{collections::HashSet, path::Path, time::Duration};

use bollard::{Docker, models::ContainerSummary};
use sandgate_kit::ProviderError;
use tokio::task::spawn_blocking;

use crate::{
    Container,
    create::no_folder,
    find,
    names::{self, label},
    remove, runner,
};

/// What is younger may just be in the making.
const AGE: Duration = Duration::from_secs(10 * 60);

impl Container {
    /// Removes what has no use any more: containers that looked into an image, folders whose
    /// container is gone, and the word of owners whose container is gone.
    pub(crate) async fn sweep(&self, docker: &Docker) -> Result<(), ProviderError> {
        let prefix = &self.config.name_prefix;
        let lookers = names::labelled(prefix, label::LOOK, None);
        for found in find::listed(docker, &lookers).await? {
            if let Some(id) = found.id.as_deref().filter(|_| is_old(&found)) {
                remove::container(docker, id).await?;
            }
        }
        let facts = self.engine.facts().await?;
        let (ways, engine) = (self.ways.clone(), facts.id.clone());
        let slots = spawn_blocking(move || ways.host.as_ref().map(|host| host.names(AGE, &engine)));
        let slots = slots.await.map_err(std::io::Error::from);
        let slots = slots.and_then(Option::transpose).map_err(no_folder)?;
        let all = find::listed(docker, &names::managed(prefix)).await?;
        let used: HashSet<&str> = all.iter().filter_map(slot).collect();
        for slot in slots.unwrap_or_default() {
            if !used.contains(slot.as_str()) {
                tracing::info!(slot, "a folder without its container is removed");
                self.remove_slot(slot).await;
            }
        }
        let there: HashSet<&str> = all.iter().filter_map(|found| found.id.as_deref()).collect();
        for (name, owner) in self.owners.all() {
            if owner.engine == facts.id && !there.contains(owner.container.as_str()) {
                self.remove_owned(docker, &name, &owner).await?;
            }
        }
        Ok(())
    }
}

fn is_old(found: &ContainerSummary) -> bool {
    let made = found.created.and_then(|made| u64::try_from(made).ok());
    let made = made.map(|made| std::time::UNIX_EPOCH + Duration::from_secs(made));
    made.is_some_and(|made| made.elapsed().is_ok_and(|since| since > AGE))
}

/// The name of a container's folder on the host.
pub(crate) fn slot(found: &ContainerSummary) -> Option<&str> {
    let mounts = found.mounts.iter().flatten();
    let mut mounts = mounts.filter(|mount| mount.destination.as_deref() == Some(runner::FOLDER));
    let source = Path::new(mounts.next()?.source.as_deref()?);
    source.parent()?.file_name()?.to_str()
}
