//! The provider itself: one method for each call of the kit.

use std::sync::Arc;

use bollard::{
    Docker,
    models::{ContainerInspectResponse, ContainerStateStatusEnum as Status},
    query_parameters::StopContainerOptionsBuilder,
};
use bytes::Bytes;
use sandgate_kit::{CallContext, Instance, Kind, Page, Provider, ProviderError, Reached, Spec};
use sandgate_proto::{
    Outcome,
    v1::{Capabilities, SandboxSpec},
};
use secrecy::ExposeSecret as _;

use crate::{
    Config, Link, body, call, capabilities,
    detect::detect,
    engine::Engine,
    find::{self, Found},
    images::Images,
    instance::{self, Kept},
    link::{bridge, socket},
    names::{self, Marks},
    owners::Owners,
    pool::Pool,
    ready,
    secret::Key,
    start::Visit,
    subnet::Pool as Subnets,
    way::{Way, Ways},
};

/// Seconds between TERM and KILL when a sandbox is stopped.
const STOP_SECONDS: i32 = 10;

/// Sandboxes on one Docker Engine.
#[derive(Clone, Debug)]
pub struct Container {
    pub(crate) engine: Engine,
    pub(crate) config: Arc<Config>,
    pub(crate) subnets: Subnets,
    pub(crate) ways: Arc<Ways>,
    pub(crate) owners: Owners,
    pub(crate) images: Arc<Images>,
    pub(crate) key: Key,
    pub(crate) pool: Option<Arc<Pool>>,
}

impl Container {
    /// Chooses the engine and looks whether it is there. One that is not is no error: calls say
    /// so until it comes up.
    ///
    /// # Errors
    /// `InvalidField` where a setting is malformed; `Rejected` where the engine's address cannot
    /// be used.
    pub async fn connect(config: Config) -> Result<Self, ProviderError> {
        let invalid =
            |field, message: String| ProviderError::new(Kind::InvalidField(field), message);
        if !names::is_prefix(&config.name_prefix) {
            let message = "SANDGATE_NAME_PREFIX: use 2 to 32 characters out of A-Z a-z 0-9 _ -, the first a letter or digit";
            return Err(invalid("name_prefix", message.to_owned()));
        }
        let subnets = config.subnet_pool.parse::<Subnets>().map_err(|error| {
            invalid(
                "subnet_pool",
                format!("SANDGATE_CONTAINER_SUBNETS: {error}"),
            )
        })?;
        let endpoint = detect(&config.engine, |path| std::fs::read(path).ok())
            .map_err(|error| ProviderError::new(Kind::Rejected, error.to_string()))?;
        let ways = Ways::new(&config)?;
        let mut container = Self {
            engine: Engine::new(endpoint),
            subnets,
            owners: Owners::new(ways.host.as_ref()),
            ways: Arc::new(ways),
            images: Arc::default(),
            key: Key::open(config.data_dir.as_deref()),
            pool: None,
            config: Arc::new(config),
        };
        container.begin().await;
        container.begin_pool().await;
        Ok(container)
    }

    /// Looks whether the engine is there, and takes away what an earlier provider left.
    async fn begin(&self) {
        let swept = async {
            let docker = self.engine.docker().await?;
            self.sweep(&docker).await
        };
        if let Err(error) = swept.await {
            tracing::warn!(%error, "starting without an engine, or with what an earlier provider left there");
        }
    }

    pub(crate) fn marks<'a>(&'a self, context: &'a CallContext) -> Marks<'a> {
        Marks::new(&self.config.name_prefix, context)
    }

    async fn find(&self, docker: &Docker, context: &CallContext) -> Result<Found, ProviderError> {
        let id = &context.provider_sandbox_id;
        find::container(docker, &self.owners, &self.marks(context), id).await
    }

    pub(crate) async fn instance(
        &self,
        context: &CallContext,
        found: &Found,
        kept: &Kept,
    ) -> Result<Instance, ProviderError> {
        let facts = self.engine.facts().await?;
        let marks = self.marks(context);
        Ok(instance::inspected(&marks, &facts.id, found, kept))
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
        let pooled = names::labelled(&self.config.name_prefix, names::label::POOL, None);
        let found = find::listed(docker, &pooled).await?;
        let named = |container: &bollard::models::ContainerSummary, name: &str| {
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
}

impl Provider for Container {
    type Link = Link;

    fn id(&self) -> &'static str {
        "container"
    }

    async fn close(&self) {
        self.drain().await;
    }

    fn resolved(&self, spec: SandboxSpec) -> SandboxSpec {
        body::resolved(&self.config, spec)
    }

    async fn capabilities(&self) -> Result<Capabilities, ProviderError> {
        let facts = self.engine.facts().await?;
        let groups = self.ways.has_groups(&facts.id);
        Ok(capabilities::of(self.id(), &self.config, &facts, groups))
    }

    async fn health(&self) -> Result<(), ProviderError> {
        Ok(self.engine.check().await?)
    }

    async fn create(&self, context: &CallContext, spec: Spec) -> Result<Instance, ProviderError> {
        Box::pin(self.make_or_find(context, &spec)).await
    }

    async fn get(&self, context: &CallContext) -> Result<Instance, ProviderError> {
        let docker = self.engine.docker().await?;
        let found = self.find(&docker, context).await?;
        let kept = Kept::read(context.state.expose_secret());
        self.instance(context, &found, &kept).await
    }

    async fn list(
        &self,
        context: &CallContext,
        page: Page,
    ) -> Result<Vec<Instance>, ProviderError> {
        let docker = self.engine.docker().await?;
        let facts = self.engine.facts().await?;
        let marks = self.marks(context);
        let found = find::listed(&docker, &marks.list_filter()).await?;
        let none = names::Labels::new();
        let labelled = found.iter().map(|container| {
            let labels = container.labels.as_ref().unwrap_or(&none);
            instance::listed(&marks, &facts.id, container, labels)
        });
        let mut all: Vec<Instance> = labelled.collect();
        all.extend(self.listed_owned(&docker, &marks, &facts.id).await?);
        all.retain(|instance| instance.sandbox_id > page.after);
        all.sort_by(|one, other| one.sandbox_id.cmp(&other.sandbox_id));
        all.truncate(page.size);
        Ok(all)
    }

    async fn start(&self, context: &CallContext) -> Result<Instance, ProviderError> {
        let docker = self.engine.docker().await?;
        let found = self.find(&docker, context).await?;
        let visit = Visit::start(found.container.id.as_deref().unwrap_or_default());
        Ok(self.bring_up(&docker, context, visit).await?)
    }

    async fn stop(&self, context: &CallContext) -> Result<Instance, ProviderError> {
        let docker = self.engine.docker().await?;
        let id = self.find(&docker, context).await?.id();
        let options = StopContainerOptionsBuilder::new().t(STOP_SECONDS).build();
        call::STOP_CONTAINER
            .run(docker.stop_container(&id, Some(options)))
            .await?;
        self.get(context).await
    }

    async fn delete(&self, context: &CallContext) -> Result<(), ProviderError> {
        self.remove_all(context).await
    }

    async fn reach(&self, context: &CallContext) -> Result<Reached<Link>, ProviderError> {
        let docker = self.engine.docker().await?;
        let container = self.find(&docker, context).await?.container;
        if status(&container) != Some(Status::RUNNING) {
            return Err(ProviderError::new(
                Kind::NotRunning,
                "the sandbox is not running; start it first",
            ));
        }
        match Way::of(&container) {
            Way::Socket { folder, .. } => {
                let stream = socket::connect(&folder, ready::pid(&container)).await;
                Ok(Reached {
                    link: Link::Socket(stream.map_err(|error| unreached(context, error))?),
                    secret: Bytes::new(),
                })
            }
            Way::Bridge => {
                let id = container.id.as_deref().unwrap_or_default();
                let kept = Kept::read(context.state.expose_secret());
                Ok(Reached {
                    link: Link::Bridge(bridge::open(&docker, id).await?),
                    secret: Bytes::from(kept.secret),
                })
            }
        }
    }
}

fn unreached(context: &CallContext, error: socket::NoRunner) -> ProviderError {
    let message = if error.is_replaced() {
        tracing::warn!(%error, sandbox_id = context.sandbox_id, "the runner's socket was replaced from inside the sandbox");
        "something in the sandbox has put itself in the runner's place, so the sandbox cannot be reached: stop and start it, or delete it"
    } else {
        "the runner in the sandbox does not answer just now; try again"
    };
    ProviderError::new(Kind::Unavailable(Outcome::Rejected), message).caused_by(error)
}

pub(crate) fn status(container: &ContainerInspectResponse) -> Option<Status> {
    container.state.as_ref()?.status
}
