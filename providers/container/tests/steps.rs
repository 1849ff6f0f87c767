//! A provider that ends, or fails, at any step of create and delete leaves nothing that a delete, or
//! its next start, does not take away.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

const TRANSPORT: sandgate_provider_container::Transport =
    sandgate_provider_container::Transport::Socket;

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use prost::Message as _;
use sandgate_kit::{Provider as _, Spec};
use sandgate_proto::{
    CONTEXT_METADATA,
    provider::v1::ProviderContext,
    v1::{
        CreateSandboxRequest, DeleteSandboxRequest, ListSandboxesRequest,
        sandbox_service_client::SandboxServiceClient,
    },
};
use sandgate_provider_container::{Container, STEPS};
use support::{World, docker, id, names};
use tonic::{Request, Status, metadata::MetadataValue, transport::Channel};

/// Longer than a provider takes to come to a step on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
const SESSION: &str = "00000000-0000-4000-8000-000000000001";

struct Program {
    child: Child,
    client: SandboxServiceClient<Channel>,
}

impl Program {
    /// None where it ended before it served.
    fn start(prefix: &str, data: &Path, step: &str) -> Option<Self> {
        let pool = if step.contains(".take.") || step.contains("pool") || step.contains("owned") {
            "1"
        } else {
            ""
        };
        let mut command = Command::new(env!("CARGO_BIN_EXE_sandgate-provider-container"));
        command
            .args(["--listen", "127.0.0.1:0", "--image", &support::image()])
            .env("SANDGATE_DATA_DIR", data)
            .env("SANDGATE_NAME_PREFIX", prefix)
            .env("SANDGATE_CONTAINER_POOL", pool)
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        if !step.is_empty() {
            command.env("FAILPOINTS", format!("{step}=return(crash)"));
        }
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        let Some(address) = line.trim().strip_prefix("provider container ready on ") else {
            child.wait().unwrap();
            return None;
        };
        let channel = Channel::from_shared(format!("http://{address}")).unwrap();
        Some(Self {
            child,
            client: SandboxServiceClient::new(channel.connect_lazy()),
        })
    }

    async fn create(&mut self, sandbox_id: &str) -> Result<(), Status> {
        let request = with(CreateSandboxRequest::default(), SESSION, sandbox_id);
        self.client.create_sandbox(request).await.map(drop)
    }

    async fn delete(&mut self, sandbox_id: &str) -> Result<(), Status> {
        let request = with(DeleteSandboxRequest::default(), SESSION, sandbox_id);
        self.client.delete_sandbox(request).await.map(drop)
    }

    fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    async fn terminated(mut self) {
        let pid = self.child.id().to_string();
        Command::new("kill").arg(pid).status().unwrap();
        let end = Instant::now() + PATIENCE;
        while !self.has_ended() {
            assert!(Instant::now() < end, "it does not end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn with<T>(message: T, session_id: &str, sandbox_id: &str) -> Request<T> {
    let context = ProviderContext {
        gateway_id: "g".into(),
        session_id: session_id.into(),
        sandbox_id: sandbox_id.into(),
        generation: u64::from(!sandbox_id.is_empty()),
        ..Default::default()
    };
    let mut request = Request::new(message);
    let value = MetadataValue::from_bytes(&context.encode_to_vec());
    request.metadata_mut().insert_bin(CONTEXT_METADATA, value);
    request
}

/// Containers and networks with these names, of any label.
fn left(prefix: &str, data: &Path) -> Vec<String> {
    let label = format!("label=managed-by={prefix}");
    let containers = docker(&["ps", "-aq", "--filter", &label]);
    let networks = docker(&["network", "ls", "-q", "--filter", &label]);
    let engine = containers.lines().chain(networks.lines());
    let mut left: Vec<String> = engine.map(str::to_owned).collect();
    for folder in ["run", "owners"] {
        left.extend(names(&data.join("container").join(folder)));
    }
    left
}

#[tokio::test]
async fn a_killed_provider_is_cleaned_up_after_by_its_gateway_and_its_next_start() {
    for step in STEPS {
        let data = tempfile::tempdir().unwrap();
        let prefix = format!("t{}", &id()[..8]);
        let mut made = vec![id()];
        if let Some(mut program) = Program::start(&prefix, data.path(), step) {
            let end = Instant::now() + PATIENCE;
            // Some steps are reached only with one of the pool.
            while !program.has_ended() {
                assert!(Instant::now() < end, "{step} is never reached");
                let sandbox_id = made.last().unwrap().clone();
                let created = program.create(&sandbox_id).await;
                if created.is_ok() && step.contains("delete") {
                    let _ = program.delete(&sandbox_id).await;
                }
                tokio::time::sleep(Duration::from_millis(300)).await;
                made.push(id());
            }
        }
        // As the gateway does: all that is listed, whatever is known of it.
        let mut program = Program::start(&prefix, data.path(), "").unwrap();
        let request = with(ListSandboxesRequest::default(), "", "");
        let listed = program.client.list_sandboxes(request).await.unwrap();
        for sandbox in listed.into_inner().sandboxes {
            assert!(made.contains(&sandbox.sandbox_id), "{step}: {sandbox:?}");
            program.delete(&sandbox.sandbox_id).await.unwrap();
        }
        program.terminated().await;
        assert_eq!(left(&prefix, data.path()), Vec::<String>::new(), "{step}");
        let look = format!("label={prefix}.look");
        let lookers = docker(&["ps", "-aq", "--filter", &look]);
        assert_eq!(lookers, "", "{step}");
    }
}

#[tokio::test]
async fn a_call_that_fails_leaves_nothing_or_can_be_repeated() {
    let world = World::new().await;
    for step in STEPS {
        let mut config = support::config(world.data.path());
        // Sees what another one made ahead, so that each step is reached.
        config.pool = if step.contains("pool") { "1" } else { "" }
            .parse()
            .unwrap();
        let provider = Container::connect(config).await.unwrap();
        let context = world.context();
        fail::cfg(*step, "return(error)").unwrap();
        let created = provider.create(&context, Spec::default()).await;
        let is_in_create = !step.contains("delete") && !step.contains("pool");
        let reached = is_in_create && !step.contains("take");
        assert_eq!(created.is_err(), reached, "{step}");
        if reached {
            assert_eq!(world.leftovers(), Vec::<String>::new(), "{step}");
            assert_eq!(world.folders(), Vec::<String>::new(), "{step}");
        }
        let is_in_delete = step.contains("delete") && !step.contains("owned");
        let deleted = provider.delete(&context).await;
        assert_eq!(deleted.is_err(), is_in_delete, "{step}");
        fail::remove(step);
        provider.delete(&context).await.unwrap();
        provider.close().await;
        assert_eq!(world.leftovers(), Vec::<String>::new(), "{step}");
        assert_eq!(world.folders(), Vec::<String>::new(), "{step}");
    }
}
