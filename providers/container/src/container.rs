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
    making::Making,
    names::{self, Marks},
    owners::Owners,
    pause,
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
    pub(crate) making: Making,
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
            making: Making::default(),
            key: Key::open(config.data_dir.as_deref()),
            pool: None,
            config: Arc::new(config),
        };
        let own = container.remove_own_lookers().await;
        if let Err(error) = own {
            tracing::warn!(%error, "starting without an engine");
        }
        container.begin_pool().await;
        Ok(container)
    }

    /// Names this provider on the engine, the same after a restart.
    pub(crate) fn own_id(&self) -> String {
        self.key.secret("pool")[..16].to_owned()
    }

    /// The label of what this provider makes to look into an image.
    pub(crate) fn looker(&self) -> (String, String) {
        names::look(&self.config.name_prefix, &self.own_id())
    }

    pub(crate) fn marks<'a>(&'a self, context: &'a CallContext) -> Marks<'a> {
        Marks::new(&self.config.name_prefix, context)
    }

    pub(crate) async fn find(
        &self,
        docker: &Docker,
        context: &CallContext,
    ) -> Result<Found, ProviderError> {
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
}

impl Provider for Container {
    type Link = Link;

    fn id(&self) -> &'static str {
        "container"
    }

    async fn sweep(&self) -> Result<(), ProviderError> {
        self.take_away().await
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
        self.listed(context, page).await
    }

    async fn start(&self, context: &CallContext) -> Result<Instance, ProviderError> {
        let docker = self.engine.docker().await?;
        let found = self.find(&docker, context).await?;
        let visit = Visit::start(found.container.id.as_deref().unwrap_or_default());
        Ok(self.bring_up(&docker, context, visit).await?)
    }

    async fn stop(&self, context: &CallContext) -> Result<Instance, ProviderError> {
        let docker = self.engine.docker().await?;
        let found = self.find(&docker, context).await?;
        let id = found.id();
        if status(&found.container) == Some(Status::PAUSED) {
            // TERM reaches nobody who is frozen, and the engine would wait for its end.
            pause::thaw(&docker, &id).await?;
        }
        let options = StopContainerOptionsBuilder::new().t(STOP_SECONDS).build();
        call::STOP_CONTAINER
            .run(docker.stop_container(&id, Some(options)))
            .await?;
        self.get(context).await
    }

    async fn pause(
        &self,
        context: &CallContext,
        hibernate: bool,
    ) -> Result<Instance, ProviderError> {
        self.freeze(context, hibernate).await
    }

    async fn resume(&self, context: &CallContext) -> Result<Instance, ProviderError> {
        self.start(context).await
    }

    async fn delete(&self, context: &CallContext) -> Result<(), ProviderError> {
        self.remove_all(context).await
    }

    async fn reach(&self, context: &CallContext) -> Result<Reached<Link>, ProviderError> {
        let docker = self.engine.docker().await?;
        let container = self.find(&docker, context).await?.container;
        if status(&container) != Some(Status::RUNNING) {
            // A frozen runner would keep its caller waiting.
            return Err(ProviderError::new(
                Kind::NotRunning,
                "the sandbox is not running; start it, or resume it if it is paused",
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
