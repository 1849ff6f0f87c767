//! A real engine for tests: contexts of a gateway that nobody else has, and a look from outside by
//! the docker CLI. What a test leaves behind fails it, and is taken away.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

pub(crate) mod debris;
pub(crate) mod engine;
pub(crate) mod fake;
pub(crate) mod guest;
pub(crate) mod runner;

use std::{
    path::Path,
    process::{Command as Cli, Stdio},
    time::Duration,
};

use clap::Parser as _;
use sandgate_kit::{CallContext, Instance, Kind, Provider as _, Spec};
use sandgate_proto::{provider::v1::ProviderContext, v1::sandbox_spec::Source};
use sandgate_provider_container::{Args, Config, Container};
use tempfile::TempDir;
use uuid::Uuid;

pub(crate) use self::runner::{Command, Process, Seen, shell};

/// Longer than anything should take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// One gateway with one session, on the engine that the environment names.
pub(crate) struct World {
    pub(crate) provider: Container,
    pub(crate) gateway_id: String,
    pub(crate) session_id: String,
    /// The provider's folder; removed with the test.
    pub(crate) data: TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// With another configuration.
    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut config = config(data.path());
        change(&mut config);
        let provider = Container::connect(config).await.unwrap();
        provider
            .health()
            .await
            .expect("these tests need a Docker Engine");
        Self {
            provider,
            gateway_id: id(),
            session_id: id(),
            data,
        }
    }

    /// The context of a sandbox that does not exist yet.
    pub(crate) fn context(&self) -> CallContext {
        let mut context = CallContext::from(ProviderContext::default());
        context.owner.gateway_id.clone_from(&self.gateway_id);
        context.owner.session_id.clone_from(&self.session_id);
        context.owner.org_id = "org-1".into();
        context.owner.user_id = "user-1".into();
        context.sandbox_id = id();
        context.generation = 1;
        context
    }

    /// A running sandbox of the default spec, and a context that knows it.
    pub(crate) async fn sandbox(&self) -> (CallContext, Instance) {
        self.sandbox_of(Spec::default()).await
    }

    pub(crate) async fn sandbox_of(&self, spec: Spec) -> (CallContext, Instance) {
        let mut context = self.context();
        let instance = self.provider.create(&context, spec).await.unwrap();
        know(&mut context, &instance);
        (context, instance)
    }

    /// Runs a shell line to its end.
    pub(crate) async fn sh(&self, context: &CallContext, line: &str) -> Seen {
        self.run(context, shell(line)).await
    }

    pub(crate) async fn run(&self, context: &CallContext, command: Command) -> Seen {
        self.start(context, command).await.finish().await
    }

    pub(crate) async fn start(&self, context: &CallContext, command: Command) -> Process {
        let reached = self.provider.reach(context).await.unwrap();
        Process::start(reached, context, command).await
    }

    /// Why a sandbox cannot be made, after a look that nothing is left of it.
    pub(crate) async fn refused(&self, spec: Spec) -> (Kind, String) {
        let error = self
            .provider
            .create(&self.context(), spec)
            .await
            .expect_err("made");
        assert_eq!(self.leftovers(), Vec::<String>::new());
        assert_eq!(self.folders(), Vec::<String>::new());
        (error.kind().clone(), error.to_string())
    }

    /// Folders of containers on the host, whether they are there or not.
    pub(crate) fn folders(&self) -> Vec<String> {
        names(&self.data.path().join("container/run"))
    }

    /// Containers and networks of this gateway, running or not.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        let label = format!("label=sandgate.gateway_id={}", self.gateway_id);
        let containers = docker(&["ps", "-aq", "--no-trunc", "--filter", &label]);
        let networks = docker(&["network", "ls", "-q", "--no-trunc", "--filter", &label]);
        containers
            .lines()
            .chain(networks.lines())
            .map(str::to_owned)
            .collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let left = self.leftovers();
        for id in &left {
            let _ = try_docker(&["rm", "-fv", id]);
        }
        for id in &left {
            let _ = try_docker(&["network", "rm", id]);
        }
        if !std::thread::panicking() {
            assert_eq!(left, Vec::<String>::new(), "left behind");
        }
    }
}

/// Names in a folder.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

/// Keeps what the gateway would keep of an answer.
pub(crate) fn know(context: &mut CallContext, instance: &Instance) {
    context
        .provider_sandbox_id
        .clone_from(&instance.provider_sandbox_id);
    context.state = instance.state_data.to_vec().into();
}

/// The provider's configuration: the engine of the environment, an image that it has.
pub(crate) fn config(data: &Path) -> Config {
    Config {
        image: image(),
        data_dir: Some(data.to_owned()),
        transport: crate::TRANSPORT,
        ..Args::parse_from(["test"]).container.config()
    }
}

pub(crate) fn image() -> String {
    std::env::var("SANDGATE_TEST_IMAGE").unwrap_or_else(|_| "sandgate-test:bookworm".to_owned())
}

pub(crate) fn from_image(image: &str) -> Spec {
    Spec {
        source: Some(Source::Image(image.to_owned())),
        ..Spec::default()
    }
}

pub(crate) fn id() -> String {
    Uuid::new_v4().to_string()
}

/// What the docker CLI says; it has to succeed.
pub(crate) fn docker(arguments: &[&str]) -> String {
    try_docker(arguments).unwrap_or_else(|error| panic!("docker {arguments:?}: {error}"))
}

pub(crate) fn try_docker(arguments: &[&str]) -> Result<String, String> {
    let mut cli = Cli::new("docker");
    if let Ok(host) = std::env::var("CONTAINER_SANDBOX_DOCKER_HOST") {
        cli.env("DOCKER_HOST", host);
    }
    let output = cli
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stderr))
    }
}

/// One value of `docker inspect`.
pub(crate) fn inspect(id: &str, template: &str) -> String {
    docker(&["inspect", "--format", template, id])
}
