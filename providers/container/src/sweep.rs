//! Takes away what a provider that was killed has left and no gateway can know of.

use std::{
    collections::HashSet,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bollard::{
    Docker,
    models::{ContainerSummary, Network},
};
use sandgate_kit::ProviderError;

use crate::{
    Container, find,
    instance::time,
    names::{self, Filters, Labels, label},
    network, remove, runner,
};

/// What is younger may just be in the making.
pub(crate) const AGE: Duration = Duration::from_secs(10 * 60);

impl Container {
    /// Removes containers that looked into an image, what a pool has left, networks that are no
    /// sandbox's, folders and the word of owners whose container is gone.
    pub(crate) async fn take_away(&self) -> Result<(), ProviderError> {
        let docker = self.engine.docker().await?;
        let engine = self.engine.facts().await?.id.clone();
        let managed = names::managed(&self.config.name_prefix);
        // Each, whatever becomes of the others.
        let done = [
            self.remove_lookers(&docker).await,
            self.remove_unshelved(&docker).await,
            self.remove_unowned(&docker, &engine).await,
            self.remove_unused_slots(&docker, &engine).await,
            self.remove_unused_networks(&docker, &managed, AGE).await,
        ];
        self.owners.clear(AGE);
        done.into_iter().collect()
    }

    /// Removes what an earlier life of this provider had made to look into images.
    pub(crate) async fn remove_own_lookers(&self) -> Result<(), ProviderError> {
        let docker = self.engine.docker().await?;
        let own = self.own_id();
        let lookers = names::labelled(&self.config.name_prefix, label::LOOK, Some(&own));
        for id in find::listed(&docker, &lookers)
            .await?
            .into_iter()
            .filter_map(|one| one.id)
        {
            remove::container(&docker, &id).await?;
        }
        Ok(())
    }

    async fn remove_lookers(&self, docker: &Docker) -> Result<(), ProviderError> {
        let lookers = names::labelled(&self.config.name_prefix, label::LOOK, None);
        for found in find::listed(docker, &lookers).await? {
            if let Some(id) = found.id.as_deref().filter(|_| is_old(&found, AGE)) {
                remove::container(docker, id).await?;
            }
        }
        Ok(())
    }

    /// Finishes what is left of sandboxes that were made ahead and whose container is gone.
    async fn remove_unowned(&self, docker: &Docker, engine: &str) -> Result<(), ProviderError> {
        // Read before the containers: there was one by then, or it is gone.
        let owners = self.owners.all();
        let all = find::listed(docker, &names::managed(&self.config.name_prefix)).await?;
        let there: HashSet<&str> = all.iter().filter_map(|found| found.id.as_deref()).collect();
        for (name, owner) in owners {
            if owner.engine == engine && !there.contains(owner.container.as_str()) {
                self.remove_owned(docker, &name, &owner).await?;
            }
        }
        Ok(())
    }

    async fn remove_unused_slots(
        &self,
        docker: &Docker,
        engine: &str,
    ) -> Result<(), ProviderError> {
        let slots = self.slots(engine).await?;
        let all = find::listed(docker, &names::managed(&self.config.name_prefix)).await?;
        let used: HashSet<&str> = all.iter().filter_map(slot).collect();
        for slot in slots {
            if !used.contains(slot.name.as_str()) && is_past(slot.made, AGE) {
                let slot = slot.name;
                tracing::info!(slot, "a folder without its container is removed");
                self.remove_slot(slot).await;
            }
        }
        Ok(())
    }

    /// Removes networks that are no sandbox's and that no container has, started or not.
    pub(crate) async fn remove_unused_networks(
        &self,
        docker: &Docker,
        filters: &Filters,
        age: Duration,
    ) -> Result<(), ProviderError> {
        let prefix = &self.config.name_prefix;
        let sandbox = format!("{prefix}.{}", label::SANDBOX);
        let is_a_sandboxs = |labels: &Labels| labels.get(&sandbox).is_some_and(|id| !id.is_empty());
        let networks = network::all(docker, filters).await?;
        let owners = self.owners.all();
        let all = find::listed(docker, &names::managed(prefix)).await?;
        let mut used: HashSet<&str> = all.iter().flat_map(networks_of).collect();
        used.extend(owners.iter().map(|(_, owner)| owner.network.as_str()));
        for network in &networks {
            let Network {
                id: Some(id), name, ..
            } = network
            else {
                continue;
            };
            let made = network.created.as_deref().and_then(time);
            let named = name.as_deref().is_some_and(|name| used.contains(name));
            if !used.contains(id.as_str())
                && !named
                && !network.labels.as_ref().is_some_and(is_a_sandboxs)
                && (age.is_zero() || is_past(made, age))
            {
                remove::network(docker, id).await?;
            }
        }
        Ok(())
    }
}

/// Whether a container was made so long ago.
pub(crate) fn is_old(found: &ContainerSummary, age: Duration) -> bool {
    let made = found.created.and_then(|made| u64::try_from(made).ok());
    is_past(made.map(|made| UNIX_EPOCH + Duration::from_secs(made)), age)
}

/// Whether something was so long ago; not where that is not known.
pub(crate) fn is_past(time: Option<SystemTime>, age: Duration) -> bool {
    time.is_some_and(|time| time.elapsed().is_ok_and(|since| since >= age))
}

/// Names and ids of the networks that a container has, or will have once it starts.
fn networks_of(found: &ContainerSummary) -> Vec<&str> {
    let host = found.host_config.as_ref();
    let wanted = host.and_then(|host| host.network_mode.as_deref());
    let settings = found.network_settings.as_ref();
    let joined = settings.and_then(|settings| settings.networks.as_ref());
    let joined = joined.into_iter().flatten().flat_map(|(name, network)| {
        [Some(name.as_str()), network.network_id.as_deref()]
            .into_iter()
            .flatten()
    });
    wanted.into_iter().chain(joined).collect()
}

/// The name of a container's folder on the host.
fn slot(found: &ContainerSummary) -> Option<&str> {
    let mounts = found.mounts.iter().flatten();
    let mut mounts = mounts.filter(|mount| mount.destination.as_deref() == Some(runner::FOLDER));
    let source = Path::new(mounts.next()?.source.as_deref()?);
    source.parent()?.file_name()?.to_str()
}
