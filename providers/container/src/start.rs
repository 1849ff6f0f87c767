//! Has a container running, with a runner in it that answers.

use std::time::Duration;

use bollard::{
    Docker,
    models::{ContainerInspectResponse, ContainerStateStatusEnum as Status},
    query_parameters::{StartContainerOptions, StopContainerOptionsBuilder},
};
use sandgate_kit::{CallContext, Instance, Kind, ProviderError};
use sandgate_proto::Outcome;
use secrecy::ExposeSecret as _;
use tokio::task::spawn_blocking;

use crate::{
    Container, call,
    container::status,
    create::Failed,
    fault::Fault,
    find::{self, Found},
    instance::Kept,
    pause,
    people::Person,
    ready, runner,
    slots::no_folder,
    step,
    way::Way,
};

/// How long to wait for a socket that may never appear where it is looked for.
const TRIAL: Duration = Duration::from_secs(6);
/// Seconds that a runner gets whose secret nobody knows.
const STOP_SECONDS: i32 = 3;

/// A look at a container that is to run.
pub(crate) struct Visit<'a> {
    id: &'a str,
    /// It may be that a create was answered, and the answer lost.
    repeated: bool,
    /// Whether the socket is only tried.
    trial: bool,
}

impl<'a> Visit<'a> {
    /// Of a container that was just made.
    pub(crate) const fn first(id: &'a str, trial: bool) -> Self {
        Self {
            id,
            repeated: false,
            trial,
        }
    }

    /// By a create that finds it there.
    pub(crate) const fn again(id: &'a str) -> Self {
        Self {
            id,
            repeated: true,
            trial: false,
        }
    }

    /// To start it.
    pub(crate) const fn start(id: &'a str) -> Self {
        Self::first(id, false)
    }
}

impl Container {
    /// Starts a container if need be, and waits for its runner.
    pub(crate) async fn bring_up(
        &self,
        docker: &Docker,
        context: &CallContext,
        visit: Visit<'_>,
    ) -> Result<Instance, Failed> {
        let mut kept = Kept::read(context.state.expose_secret());
        let container = self.run(docker, visit, &mut kept).await?;
        let found = Found::new(&self.owners, &self.marks(context), container);
        Ok(self.instance(context, &found, &kept).await?)
    }

    /// The same for a container that may have no owner yet; completes what is kept of it.
    pub(crate) async fn run(
        &self,
        docker: &Docker,
        visit: Visit<'_>,
        kept: &mut Kept,
    ) -> Result<ContainerInspectResponse, Failed> {
        let id = visit.id;
        let mut container = find::inspect(docker, id).await?.ok_or_else(find::gone)?;
        if status(&container) == Some(Status::PAUSED) {
            pause::thaw(docker, id).await?;
            container = find::inspect(docker, id).await?.ok_or_else(find::gone)?;
        }
        let way = Way::of(&container);
        let mut runs = status(&container) == Some(Status::RUNNING);
        let unknown = way == Way::Bridge && kept.secret.is_empty();
        if unknown {
            kept.secret = self.key.secret(id);
        }
        if runs
            && visit.repeated
            && unknown
            && ready::once(docker, &container, &kept.secret).await.is_err()
        {
            // Made with another key, and the answer that carried its secret was lost: nobody can
            // have used it yet.
            let options = StopContainerOptionsBuilder::new().t(STOP_SECONDS).build();
            call::STOP_CONTAINER
                .run(docker.stop_container(id, Some(options)))
                .await?;
            runs = false;
        }
        let person = self.person(docker, &container).await?;
        kept.home = home(&container).unwrap_or_else(|| person.home.clone());
        if !runs {
            put_in_place(docker, &container, &way, &person, &kept.secret).await?;
            step::reached("container.run.start")?;
            let start = docker.start_container(id, None::<StartContainerOptions>);
            call::START_CONTAINER.run(start).await.map_err(refused)?;
            container = find::inspect(docker, id).await?.ok_or_else(find::gone)?;
            step::reached("container.run.started")?;
        }
        let patience = if visit.trial { TRIAL } else { ready::PATIENCE };
        ready::wait(docker, &container, &kept.secret, patience).await?;
        step::reached("container.run.answered")?;
        if !runs && way == Way::Bridge {
            ready::forget_secret(docker, id).await?;
        }
        Ok(container)
    }

    /// Who commands in a container run as.
    async fn person(
        &self,
        docker: &Docker,
        container: &ContainerInspectResponse,
    ) -> Result<Person, ProviderError> {
        let image = container.image.as_deref().unwrap_or_default();
        let people = self.images.people(docker, self.looker(), image).await?;
        let arguments = container
            .config
            .as_ref()
            .and_then(|config| config.cmd.as_deref());
        people.find(runner::user_in(arguments.unwrap_or_default()))
    }
}

/// All that has to be there before a container starts.
async fn put_in_place(
    docker: &Docker,
    container: &ContainerInspectResponse,
    way: &Way,
    person: &Person,
    secret: &str,
) -> Result<(), ProviderError> {
    let id = container.id.as_deref().unwrap_or_default();
    match way {
        Way::Bridge => ready::upload(docker, id, secret).await?,
        Way::Socket { .. } => {
            let way = way.clone();
            let done = spawn_blocking(move || way.prepare()).await;
            done.map_err(std::io::Error::from)
                .flatten()
                .map_err(no_folder)?;
        }
    }
    let config = container.config.as_ref();
    let workdir = config.and_then(|config| config.working_dir.as_deref());
    match workdir {
        Some(workdir) if person.uid != 0 => ready::give(docker, id, workdir, person).await,
        _ => Ok(()),
    }
}

/// HOME in a container's own environment.
fn home(container: &ContainerInspectResponse) -> Option<String> {
    let env = container.config.as_ref()?.env.as_ref()?;
    env.iter()
        .find_map(|pair| pair.strip_prefix("HOME="))
        .map(str::to_owned)
}

/// What the engine says of a container that it cannot make or start.
pub(crate) fn refused(fault: Fault) -> ProviderError {
    if fault.says(&["runtime name", "unknown runtime"]) {
        let message =
            "the engine has no such runtime; choose one of `docker info`, or install it there";
        return fault.told(Kind::InvalidField("spec.runtime"), message);
    }
    if fault.says(&[
        "chdir to cwd",
        "current working directory",
        "mkdir working directory",
        "cannot mkdir",
        "is not a directory",
    ]) {
        let message = "cannot be made or entered; choose another folder";
        return fault.told(Kind::InvalidField("spec.workdir"), message);
    }
    if fault.says(&["exec format error", "no such file or directory"]) {
        let message = "the image cannot be a sandbox: it has to be for Linux on the architecture of this provider; choose another image";
        return fault.told(Kind::InvalidField("spec.image"), message);
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
