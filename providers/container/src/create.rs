//! Makes a sandbox, or finds the one that is there, and has it running and fit for work.

use bollard::{
    Docker,
    models::{ContainerInspectResponse, ContainerStateStatusEnum as Status},
    query_parameters::{CreateContainerOptionsBuilder, StartContainerOptions},
};
use sandgate_kit::{CallContext, Instance, Kind, Network, ProviderError, Spec};
use sandgate_proto::Outcome;

use crate::{
    Container, body::Plan, call, container::status, fault::Fault, find, image, network, ready,
    remove,
};

impl Container {
    /// Makes the sandbox of the context unless it is there. What a failure leaves is taken down.
    pub(crate) async fn make_or_find(
        &self,
        context: &CallContext,
        spec: &Spec,
    ) -> Result<Instance, ProviderError> {
        let docker = self.engine.docker().await?;
        let plan = Plan::new(&self.config, self.engine.facts().await?.as_ref(), spec)?;
        let marks = self.marks(context);
        if let Some(found) = find::by_label(&docker, &marks).await? {
            return self.bring_up(&docker, context, &id_of(found)).await;
        }
        image::ensure(&docker, plan.image()).await?;
        let attempt = uuid::Uuid::new_v4().to_string();
        let made = self.make(&docker, context, &attempt, plan, spec).await;
        if made.is_err()
            && let Err(error) = remove::everything(&docker, &marks.attempt_filter(&attempt)).await
        {
            tracing::warn!(%error, sandbox_id = context.sandbox_id, "a failed create could not be taken down; deleting the sandbox will");
        }
        made
    }

    /// Network and container, made by the call `attempt`.
    async fn make(
        &self,
        docker: &Docker,
        context: &CallContext,
        attempt: &str,
        plan: Plan,
        spec: &Spec,
    ) -> Result<Instance, ProviderError> {
        let marks = self.marks(context);
        let labels = marks.labels(attempt, &spec.labels);
        let network = match spec.network {
            Network::None => "none".to_owned(),
            Network::Full => network::shared(docker).await?,
            Network::Private | Network::Unspecified => {
                network::create(docker, &marks, &labels, self.pool).await?
            }
        };
        let options = CreateContainerOptionsBuilder::new()
            .name(&marks.container())
            .build();
        let body = plan.body(labels, &network);
        let made = docker.create_container(Some(options), body);
        let id = match call::CREATE_CONTAINER.run(made).await {
            Ok(made) => made.id,
            Err(fault) if fault.status() == Some(409) => {
                return self
                    .somebody_was_first(docker, context, attempt, &network, fault)
                    .await;
            }
            Err(fault) => return Err(refused(fault)),
        };
        self.bring_up(docker, context, &id).await
    }

    /// The name is taken: by another call for the same sandbox, or by a stranger.
    async fn somebody_was_first(
        &self,
        docker: &Docker,
        context: &CallContext,
        attempt: &str,
        network: &str,
        fault: Fault,
    ) -> Result<Instance, ProviderError> {
        let marks = self.marks(context);
        let name = marks.container();
        let found = find::named(docker, &name).await?;
        let Some(found) = found.filter(|found| find::owned(&marks, found)) else {
            let message = format!(
                "a container named {name} is there already and is not this sandbox's; remove it with `docker rm {name}`, or delete the sandbox that has it"
            );
            return Err(fault.told(Kind::Rejected, message));
        };
        let host = found.host_config.as_ref();
        // The other call may have taken the network that this one made.
        if host.and_then(|host| host.network_mode.as_deref()) != Some(network) {
            remove::everything(docker, &marks.attempt_filter(attempt)).await?;
        }
        self.bring_up(docker, context, &id_of(found)).await
    }

    /// Starts a container if need be, and makes it fit for work.
    pub(crate) async fn bring_up(
        &self,
        docker: &Docker,
        context: &CallContext,
        id: &str,
    ) -> Result<Instance, ProviderError> {
        let found = find::inspect(docker, id).await?;
        if found.as_ref().and_then(status) == Some(Status::PAUSED) {
            call::START_CONTAINER
                .run(docker.unpause_container(id))
                .await?;
        }
        let start = docker.start_container(id, None::<StartContainerOptions>);
        call::START_CONTAINER.run(start).await.map_err(refused)?;
        let container = find::inspect(docker, id).await?.ok_or_else(find::gone)?;
        let kept = ready::make(docker, &container).await?;
        self.instance(context, &container, &kept).await
    }
}

fn id_of(container: ContainerInspectResponse) -> String {
    container.id.unwrap_or_default()
}

/// What the engine says of a container that it cannot make or start.
fn refused(fault: Fault) -> ProviderError {
    if fault.says(&["runtime name", "unknown runtime"]) {
        let message =
            "the engine has no such runtime; choose one of `docker info`, or install it there";
        return fault.told(Kind::InvalidField("spec.runtime"), message);
    }
    if fault.says(&[
        "unable to find user",
        "unable to find group",
        "no matching entries in",
    ]) {
        return fault.told(
            Kind::InvalidField("spec.user"),
            "the image has no such user or group",
        );
    }
    if fault.says(&["executable file not found", "no such file or directory"]) {
        return fault.told(Kind::InvalidField("spec.image"), ready::UNFIT);
    }
    if fault.says(&["range of cpus", "minimum memory", "memory limit"]) {
        return fault.told(
            Kind::InvalidField("spec.resources"),
            "the engine cannot give that much or that little",
        );
    }
    if fault.is_gone() {
        // The image or the network went between two calls.
        let message = "what the sandbox is made of was removed meanwhile; try again";
        return fault.told(Kind::Unavailable(Outcome::Rejected), message);
    }
    fault.into()
}
