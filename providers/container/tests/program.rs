//! The program as it is shipped: it starts, tells its health, and serves commands over gRPC.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

const TRANSPORT: sandgate_provider_container::Transport =
    sandgate_provider_container::Transport::Auto;

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use prost::Message as _;
use sandgate_proto::{
    CONTEXT_METADATA,
    provider::v1::ProviderContext,
    v1::{
        CreateSandboxRequest, DeleteSandboxRequest, ExecRequest, SandboxState,
        exec_response::Event, execution_ended::Outcome,
        sandbox_service_client::SandboxServiceClient,
    },
};
use support::{World, id, image};
use tonic::{Request, metadata::MetadataValue, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

/// A running program, ended with the test.
struct Program {
    child: Child,
    url: String,
}

impl Program {
    fn start(data: &Path, host: Option<&str>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sandgate-provider-container"));
        command
            .args(["--listen", "127.0.0.1:0", "--image", &image()])
            .env("SANDGATE_DATA_DIR", data)
            .stdout(Stdio::piped());
        if let Some(host) = host {
            command.args(["--docker-host", host]);
        }
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line
            .trim()
            .strip_prefix("provider container ready on ")
            .expect(&line);
        Self {
            url: format!("http://{address}"),
            child,
        }
    }

    async fn channel(&self) -> Channel {
        Channel::from_shared(self.url.clone())
            .unwrap()
            .connect()
            .await
            .unwrap()
    }

    /// Waits for a health, which follows the engine's within seconds.
    async fn health_becomes(&self, wanted: ServingStatus) {
        let mut client = HealthClient::new(self.channel().await);
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let service = "sandbox.v1.SandboxService".to_owned();
            let answer = client.check(HealthCheckRequest { service }).await;
            if answer.is_ok_and(|answer| answer.get_ref().status() == wanted) {
                return;
            }
            assert!(Instant::now() < end, "never {wanted:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn with_context<T>(message: T, world: &World, sandbox_id: &str) -> Request<T> {
    let context = ProviderContext {
        gateway_id: world.gateway_id.clone(),
        session_id: world.session_id.clone(),
        sandbox_id: sandbox_id.to_owned(),
        generation: 1,
        ..Default::default()
    };
    let mut request = Request::new(message);
    let value = MetadataValue::from_bytes(&context.encode_to_vec());
    request.metadata_mut().insert_bin(CONTEXT_METADATA, value);
    request
}

#[tokio::test]
async fn without_an_engine_it_starts_and_is_not_serving() {
    let data = tempfile::tempdir().unwrap();
    let program = Program::start(data.path(), Some("unix:///nonexistent/docker.sock"));
    program.health_becomes(ServingStatus::NotServing).await;
}

/// A running sandbox, made over gRPC; its id and that of its container.
async fn sandbox(client: &mut SandboxServiceClient<Channel>, world: &World) -> (String, String) {
    let sandbox_id = id();
    let create = with_context(CreateSandboxRequest::default(), world, &sandbox_id);
    let made = client.create_sandbox(create).await.unwrap().into_inner();
    let made = made.sandbox.unwrap();
    assert_eq!(made.state(), SandboxState::Running);
    assert_eq!(made.workspace_path, "/workspace");
    (sandbox_id, made.provider_sandbox_id)
}

#[tokio::test]
async fn a_timeout_ends_all_that_a_command_started() {
    let world = World::new().await;
    let program = Program::start(world.data.path(), None);
    program.health_becomes(ServingStatus::Serving).await;
    let mut client = SandboxServiceClient::new(program.channel().await);
    let (sandbox_id, container) = sandbox(&mut client, &world).await;

    let command = ExecRequest {
        command: "echo started; sleep 4325 & sleep 4325".to_owned(),
        timeout: Some(prost_types::Duration {
            seconds: 1,
            nanos: 0,
        }),
        ..Default::default()
    };
    let exec = client
        .exec(with_context(command, &world, &sandbox_id))
        .await;
    let mut events = exec.unwrap().into_inner();
    let mut seen = Vec::new();
    while let Some(event) = events.message().await.unwrap() {
        seen.push(event.event.unwrap());
    }
    let [
        Event::Started(_),
        Event::Output(output),
        Event::Ended(ended),
    ] = &seen[..]
    else {
        panic!("{seen:?}")
    };
    assert_eq!(output.data, "started\n");
    assert!(
        matches!(ended.outcome, Some(Outcome::TimedOut(_))),
        "{ended:?}"
    );
    let left = support::docker(&["top", &container, "-o", "pid,args"]);
    assert!(!left.contains("4325"), "{left}");

    let delete = with_context(DeleteSandboxRequest::default(), &world, &sandbox_id);
    client.delete_sandbox(delete).await.unwrap();
    assert_eq!(world.leftovers(), Vec::<String>::new());
}
