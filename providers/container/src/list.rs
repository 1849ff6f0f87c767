//! The sandboxes of a session or of a gateway, and what remains of those that have no container.

use std::{cmp::Reverse, collections::HashSet, time::SystemTime};

use bollard::{Docker, models::ContainerSummary};
use sandgate_kit::{CallContext, Instance, Page, ProviderError};

use crate::{
    Container, find,
    instance::{self, time},
    names::{self, Labels, Marks, label},
    network, volume,
};

/// Something of a sandbox that is no container.
struct Part {
    labels: Labels,
    made: Option<SystemTime>,
}

impl Container {
    /// One entry for each sandbox, in the order of their ids.
    pub(crate) async fn listed(
        &self,
        context: &CallContext,
        page: Page,
    ) -> Result<Vec<Instance>, ProviderError> {
        let docker = self.engine.docker().await?;
        let engine = self.engine.facts().await?.id.clone();
        let marks = self.marks(context);
        // In this order: whoever is made meanwhile is being made still, or has a container.
        let parts = if context.owner.session_id.is_empty() {
            self.parts(&docker, &marks, &engine).await?
        } else {
            Vec::new()
        };
        let making = self.making.all();
        let found = find::listed(&docker, &marks.list_filter()).await?;
        let none = Labels::new();
        let labelled = found.iter().map(|container| {
            let labels = container.labels.as_ref().unwrap_or(&none);
            instance::listed(&marks, &engine, container, labels)
        });
        let mut all: Vec<Instance> = labelled.collect();
        all.extend(self.listed_owned(&docker, &marks, &engine).await?);
        let known: HashSet<String> = all.iter().map(|one| one.sandbox_id.clone()).collect();
        let remains = parts
            .iter()
            .map(|part| instance::remains(&marks, &engine, &part.labels, part.made))
            .filter(|one| !known.contains(&one.sandbox_id) && !making.contains(&one.sandbox_id));
        all.extend(remains);
        all.retain(|one| !one.sandbox_id.is_empty() && one.sandbox_id > page.after);
        let order = |one: &Instance| (one.sandbox_id.clone(), Reverse(one.generation));
        // The youngest part tells how long it has been left alone.
        all.sort_by_cached_key(|one| (order(one), Reverse(one.create_time)));
        all.dedup_by(|one, before| one.sandbox_id == before.sandbox_id);
        all.truncate(page.size);
        Ok(all)
    }

    /// Sandboxes of the context that were made ahead.
    async fn listed_owned(
        &self,
        docker: &Docker,
        marks: &Marks<'_>,
        engine: &str,
    ) -> Result<Vec<Instance>, ProviderError> {
        let mut owned = self.owners.all();
        owned.retain(|(_, owner)| marks.lists(&owner.labels));
        if owned.is_empty() {
            return Ok(Vec::new());
        }
        let pooled = names::labelled(&self.config.name_prefix, label::POOL, None);
        let found = find::listed(docker, &pooled).await?;
        let named = |container: &ContainerSummary, name: &str| {
            let mut names = container.names.iter().flatten();
            names.any(|found| found.trim_start_matches('/') == name)
        };
        let instances = owned.iter().filter_map(|(name, owner)| {
            let mut same = found.iter().filter(|container| {
                container.id.as_ref() == Some(&owner.container) && named(container, name)
            });
            let container = same.next()?;
            Some(instance::listed(marks, engine, container, &owner.labels))
        });
        Ok(instances.collect())
    }

    /// All that says by labels that it is of a sandbox of the context, and is no container.
    async fn parts(
        &self,
        docker: &Docker,
        marks: &Marks<'_>,
        engine: &str,
    ) -> Result<Vec<Part>, ProviderError> {
        let filter = marks.list_filter();
        let networks = network::all(docker, &filter).await?;
        let networks = networks.into_iter().map(|network| Part {
            labels: network.labels.unwrap_or_default(),
            made: network.created.as_deref().and_then(time),
        });
        let mut parts: Vec<Part> = networks.collect();
        let volumes = volume::all(docker, &filter).await?;
        parts.extend(volumes.into_iter().map(|volume| Part {
            made: volume.created_at.as_deref().and_then(time),
            labels: volume.labels,
        }));
        let slots = self.slots(engine).await?;
        let slots = slots.into_iter().map(|slot| Part {
            labels: slot.labels,
            made: slot.made,
        });
        let owners = self.owners.all().into_iter();
        let owners = owners.filter(|(_, owner)| owner.engine == engine);
        let owners = owners.map(|(_, owner)| Part {
            labels: owner.labels,
            made: None,
        });
        parts.extend(slots.chain(owners).filter(|part| marks.lists(&part.labels)));
        Ok(parts)
    }
}
