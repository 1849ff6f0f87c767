//! The provider itself: one method for each call of the kit.

use std::sync::Arc;

use bollard::{
    Docker,
    models::{ContainerInspectResponse, ContainerStateStatusEnum as Status},
    query_parameters::StopContainerOptionsBuilder,
};
use sandgate_kit::{CallContext, Command, Instance, Kind, Page, Provider, ProviderError, Spec};
use sandgate_proto::v1::{Capabilities, SandboxSpec};
use secrecy::ExposeSecret as _;

use crate::{
    Config, body, call, capabilities,
    detect::detect,
    engine::Engine,
    exec::{self, Running},
    find,
    instance::{self, Kept},
    names::{self, Marks},
    remove,
    subnet::Pool,
};

/// Seconds between TERM and KILL when a sandbox is stopped.
const STOP_SECONDS: i32 = 10;

/// Sandboxes on one Docker Engine.
#[derive(Clone, Debug)]
pub struct Container {
    pub(crate) engine: Engine,
    pub(crate) config: Arc<Config>,
    pub(crate) pool: Pool,
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
        let pool = config.subnet_pool.parse::<Pool>().map_err(|error| {
            invalid(
                "subnet_pool",
                format!("SANDGATE_CONTAINER_SUBNETS: {error}"),
            )
        })?;
        let endpoint = detect(&config.engine, |path| std::fs::read(path).ok())
            .map_err(|error| ProviderError::new(Kind::Rejected, error.to_string()))?;
        let engine = Engine::new(endpoint);
        if let Err(fault) = engine.check().await {
            let error = ProviderError::from(fault);
            tracing::warn!(%error, "starting without an engine");
        }
        Ok(Self {
            engine,
            config: Arc::new(config),
            pool,
        })
    }

    pub(crate) fn marks<'a>(&'a self, context: &'a CallContext) -> Marks<'a> {
        Marks::new(&self.config.name_prefix, context)
    }

    async fn find(
        &self,
        docker: &Docker,
        context: &CallContext,
    ) -> Result<ContainerInspectResponse, ProviderError> {
        find::container(docker, &self.marks(context), &context.provider_sandbox_id).await
    }

    pub(crate) async fn instance(
        &self,
        context: &CallContext,
        container: &ContainerInspectResponse,
        kept: &Kept,
    ) -> Result<Instance, ProviderError> {
        let facts = self.engine.facts().await?;
        Ok(instance::inspected(
            &self.marks(context),
            &facts.id,
            container,
            kept,
        ))
    }
}

impl Provider for Container {
    type Process = Running;

    fn id(&self) -> &'static str {
        "container"
    }

    fn resolved(&self, spec: SandboxSpec) -> SandboxSpec {
        body::resolved(&self.config, spec)
    }

    async fn capabilities(&self) -> Result<Capabilities, ProviderError> {
        let facts = self.engine.facts().await?;
        Ok(capabilities::of(self.id(), &self.config, &facts))
    }

    async fn health(&self) -> Result<(), ProviderError> {
        Ok(self.engine.check().await?)
    }

    async fn create(&self, context: &CallContext, spec: Spec) -> Result<Instance, ProviderError> {
        Box::pin(self.make_or_find(context, &spec)).await
    }

    async fn get(&self, context: &CallContext) -> Result<Instance, ProviderError> {
        let docker = self.engine.docker().await?;
        let container = self.find(&docker, context).await?;
        let kept = Kept::read(context.state.expose_secret());
        self.instance(context, &container, &kept).await
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
        let mut all: Vec<Instance> = found
            .iter()
            .map(|container| instance::listed(&marks, &facts.id, container))
            .filter(|instance| instance.sandbox_id > page.after)
            .collect();
        all.sort_by(|one, other| one.sandbox_id.cmp(&other.sandbox_id));
        all.truncate(page.size);
        Ok(all)
    }

    async fn start(&self, context: &CallContext) -> Result<Instance, ProviderError> {
        let docker = self.engine.docker().await?;
        let found = self.find(&docker, context).await?;
        self.bring_up(&docker, context, &found.id.unwrap_or_default())
            .await
    }

    async fn stop(&self, context: &CallContext) -> Result<Instance, ProviderError> {
        let docker = self.engine.docker().await?;
        let id = self.find(&docker, context).await?.id.unwrap_or_default();
        let options = StopContainerOptionsBuilder::new().t(STOP_SECONDS).build();
        call::STOP_CONTAINER
            .run(docker.stop_container(&id, Some(options)))
            .await?;
        self.get(context).await
    }

    async fn delete(&self, context: &CallContext) -> Result<(), ProviderError> {
        let docker = self.engine.docker().await?;
        remove::everything(&docker, &self.marks(context).sandbox_filter()).await
    }

    async fn exec(
        &self,
        context: &CallContext,
        command: Command,
    ) -> Result<Running, ProviderError> {
        let docker = self.engine.docker().await?;
        let container = self.find(&docker, context).await?;
        if status(&container) != Some(Status::RUNNING) {
            return Err(ProviderError::new(
                Kind::NotRunning,
                "the sandbox is not running; start it first",
            ));
        }
        exec::start(&docker, &container, command).await
    }
}

pub(crate) fn status(container: &ContainerInspectResponse) -> Option<Status> {
    container.state.as_ref()?.status
}
