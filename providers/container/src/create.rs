//! Makes a sandbox, or finds the one that is there.

use bollard::{Docker, query_parameters::CreateContainerOptionsBuilder};
use sandgate_kit::{CallContext, Instance, Kind, Network, ProviderError, Spec};
use sandgate_proto::Outcome;

use crate::{
    Container,
    body::Plan,
    call,
    fault::Fault,
    find::{self, Found},
    names::Labels,
    network,
    ready::NotReady,
    remove, runner, start,
    start::Visit,
    step,
    way::{Choice, Way},
};

/// What the engine says of a folder that it cannot see.
const UNSEEN: &[&str] = &["bind source path", "invalid mount config", "mounts denied"];

/// Why a sandbox could not be made.
pub(crate) enum Failed {
    /// The engine does not share our host; a bridge may lead to it.
    NotShared(String),
    Other(ProviderError),
}

impl From<ProviderError> for Failed {
    fn from(error: ProviderError) -> Self {
        Self::Other(error)
    }
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Self {
        Self::Other(fault.into())
    }
}

impl From<NotReady> for Failed {
    fn from(error: NotReady) -> Self {
        match error {
            NotReady::Silent(why) => Self::NotShared(why),
            NotReady::Failed(error) => Self::Other(error),
        }
    }
}

impl From<Failed> for ProviderError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::NotShared(why) => Self::new(
                Kind::Unavailable(Outcome::Ambiguous),
                "the runner in the sandbox does not answer: try again; if the Docker Engine runs on another host, leave SANDGATE_CONTAINER_TRANSPORT at auto",
            )
            .caused_by(why),
            Failed::Other(error) => error,
        }
    }
}

/// One call of create.
struct Attempt<'a> {
    docker: &'a Docker,
    context: &'a CallContext,
    id: String,
    choice: Choice,
}

impl Attempt<'_> {
    /// Name of the folder on the host that this call makes for its container.
    fn slot(&self, name: &str) -> String {
        format!("{name}.{}", &self.id[..8])
    }
}

impl Container {
    /// Makes the sandbox of the context unless it is there. What a failure leaves is taken down.
    pub(crate) async fn make_or_find(
        &self,
        context: &CallContext,
        spec: &Spec,
    ) -> Result<Instance, ProviderError> {
        let _making = self.making.begin(&context.sandbox_id);
        let docker = self.engine.docker().await?;
        let facts = self.engine.facts().await?;
        let mut plan = Plan::new(&self.config, &facts, spec)?;
        let marks = self.marks(context);
        let (found, people) = tokio::join!(
            find::existing(&docker, &self.owners, &marks),
            self.images.people(&docker, self.looker(), plan.image()),
        );
        if let Some(found) = found? {
            let id = found.id();
            let visit = Visit::again(&id);
            return Ok(self.bring_up(&docker, context, visit).await?);
        }
        let people = people?;
        plan.settle(&people)?;
        step::reached("container.create.begin")?;
        let pooled = self.take_ahead(&docker, context, spec, &plan, &people.image);
        if let Some(made) = Box::pin(pooled).await? {
            return Ok(made);
        }
        let choice = self.ways.choose(&facts.id);
        let made = self.attempt(&docker, context, spec, &plan, choice).await;
        match (made, choice) {
            (Err(Failed::NotShared(why)), Choice::TrySocket) => {
                tracing::info!(
                    why,
                    "the engine's host is not ours; runners are reached by a bridge"
                );
                self.ways.learn(&facts.id, false);
                let bridge = Choice::Bridge;
                Ok(self.attempt(&docker, context, spec, &plan, bridge).await?)
            }
            (Ok(made), Choice::TrySocket) => {
                self.ways.learn(&facts.id, true);
                Ok(made)
            }
            (made, _) => Ok(made?),
        }
    }

    async fn attempt(
        &self,
        docker: &Docker,
        context: &CallContext,
        spec: &Spec,
        plan: &Plan,
        choice: Choice,
    ) -> Result<Instance, Failed> {
        let attempt = Attempt {
            docker,
            context,
            id: uuid::Uuid::new_v4().to_string(),
            choice,
        };
        let made = self.make(&attempt, plan.clone(), spec).await;
        if made.is_err() {
            let marks = self.marks(context);
            let taken = remove::everything(docker, &marks.attempt_filter(&attempt.id)).await;
            if let Err(error) = taken {
                tracing::warn!(%error, sandbox_id = context.sandbox_id, "a failed create could not be taken down; deleting the sandbox will");
            } else {
                self.remove_slot(attempt.slot(&marks.container())).await;
            }
        }
        made
    }

    /// Network and container.
    async fn make(
        &self,
        attempt: &Attempt<'_>,
        plan: Plan,
        spec: &Spec,
    ) -> Result<Instance, Failed> {
        let (docker, context) = (attempt.docker, attempt.context);
        let marks = self.marks(context);
        let name = marks.container();
        let labels = marks.labels(&attempt.id, &spec.labels);
        step::reached("container.create.network")?;
        let network = match spec.network {
            Network::None => "none".to_owned(),
            Network::Full => network::shared(docker).await?,
            Network::Private | Network::Unspecified => {
                let wanted = network::Wanted {
                    name: marks.network(),
                    seed: attempt.id.clone(),
                    labels: &labels,
                };
                let own = |labels: &Labels| marks.own(labels);
                network::create(docker, wanted, self.subnets, own).await?
            }
        };
        step::reached("container.create.network.made")?;
        let slot = attempt.slot(&name);
        let way = self.make_way(slot, attempt.choice, labels.clone()).await?;
        step::reached("container.create.container")?;
        let sandbox = Some((context.sandbox_id.clone(), context.generation));
        let made = self.create_container(docker, &name, &plan, labels, &network, &way, sandbox);
        let id = match made.await? {
            Ok(id) => id,
            Err(fault) if fault.status() == Some(409) => {
                return self.somebody_was_first(attempt, &network, fault).await;
            }
            Err(fault) => return Err(unmade(attempt.choice, fault)),
        };
        step::reached("container.create.container.made")?;
        let visit = Visit::first(&id, attempt.choice == Choice::TrySocket);
        self.bring_up(docker, context, visit).await
    }

    /// Makes a container of which all but the labels and the name is said by the plan.
    #[allow(clippy::too_many_arguments, reason = "all that a container is made of")]
    pub(crate) async fn create_container(
        &self,
        docker: &Docker,
        name: &str,
        plan: &Plan,
        labels: Labels,
        network: &str,
        way: &Way,
        sandbox: Option<(String, u64)>,
    ) -> Result<Result<String, Fault>, ProviderError> {
        let mut settings = plan.settings(sandbox);
        settings.secret = *way == Way::Bridge;
        settings.cgroup = matches!(way, Way::Socket { cgroup, .. } if cgroup.is_some());
        let arguments = runner::arguments(&self.config, &settings);
        let mounts = self.mounts(way).await?;
        let body = plan.clone().body(labels, network, arguments, mounts);
        let options = CreateContainerOptionsBuilder::new().name(name).build();
        let made = docker.create_container(Some(options), body);
        Ok(call::CREATE_CONTAINER.run(made).await.map(|made| made.id))
    }

    /// The name is taken: by another call for the same sandbox, or by a stranger.
    async fn somebody_was_first(
        &self,
        attempt: &Attempt<'_>,
        network: &str,
        fault: Fault,
    ) -> Result<Instance, Failed> {
        let (docker, context) = (attempt.docker, attempt.context);
        let marks = self.marks(context);
        let name = marks.container();
        let found = find::named(docker, &name).await?;
        let found = found.map(|found| Found::new(&self.owners, &marks, found));
        let Some(found) = found.filter(|found| marks.own(&found.labels)) else {
            let message = format!(
                "a container named {name} is there already and is not this sandbox's; remove it with `docker rm {name}`, or delete the sandbox that has it"
            );
            return Err(fault.told(Kind::Rejected, message).into());
        };
        self.remove_slot(attempt.slot(&name)).await;
        let host = found.container.host_config.as_ref();
        // The other call may have taken the network that this one made.
        if host.and_then(|host| host.network_mode.as_deref()) != Some(network) {
            remove::everything(docker, &marks.attempt_filter(&attempt.id)).await?;
        }
        let id = found.id();
        let visit = Visit::again(&id);
        self.bring_up(docker, context, visit).await
    }
}

/// Why a container could not be made.
pub(crate) fn unmade(choice: Choice, fault: Fault) -> Failed {
    if !fault.says(UNSEEN) {
        return start::refused(fault).into();
    }
    if choice == Choice::TrySocket {
        return Failed::NotShared(fault.to_string());
    }
    let message = "the Docker Engine cannot see this provider's data folder: give one that both see under the same path as SANDGATE_DATA_DIR, or SANDGATE_CONTAINER_TRANSPORT=bridge";
    Failed::Other(fault.told(Kind::Rejected, message))
}
