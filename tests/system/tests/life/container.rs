//! A gateway in front of the real provider of containers, and a look at its engine from outside.

use std::{env, time::Duration};

use sandgate_gateway::{Pace, Running};
use sandgate_proto::v1::{CapabilityRef, CreateSessionRequest};
use sandgate_system::{Binary, Client, Plan, gateway_as, uuid};
use tempfile::TempDir;
use tokio::process::Command;

/// Gateway and provider, with names that no other test has.
pub(crate) struct Stand {
    pub(crate) client: Client,
    pub(crate) prefix: String,
    pub(crate) image: String,
    _gateway: Running,
    _provider: Binary,
    _folders: [TempDir; 2],
}

impl Stand {
    pub(crate) async fn start() -> Self {
        let image = env::var("SANDGATE_TEST_IMAGE").unwrap_or("sandgate-test:bookworm".to_owned());
        let prefix = format!("life-{}", &uuid()[..8]);
        let data = tempfile::tempdir().unwrap();
        let arguments = [
            "--listen",
            "127.0.0.1:0",
            "--data-dir",
            data.path().to_str().unwrap(),
            "--image",
            &image,
            "--name-prefix",
            &prefix,
        ];
        let provider = Binary::start("sandgate-provider-container", &arguments).await;
        let plan = Plan {
            // Nothing here is too young to be judged.
            pace: Pace {
                grace: Duration::ZERO,
                ..Pace::default()
            },
            ..Plan::default()
        };
        let (gateway, own) = gateway_as(plan, "container", provider.address()).await;
        Self {
            client: Client::connect(gateway.address()).await,
            prefix,
            image,
            _gateway: gateway,
            _provider: provider,
            _folders: [data, own],
        }
    }

    /// A session that may use these; its id.
    pub(crate) async fn session(&self, capabilities: &[&str]) -> String {
        let of = |name: &&str| CapabilityRef {
            r#ref: (*name).to_owned(),
            config: None,
        };
        let request = CreateSessionRequest {
            capabilities: capabilities.iter().map(of).collect(),
            ..Default::default()
        };
        let made = self.client.sessions().create_session(request).await;
        made.unwrap().into_inner().session.unwrap().session_id
    }

    /// Names of what the engine has of this stand: `ps --all`, `network ls` or `volume ls`.
    pub(crate) async fn names(&self, listing: &[&str]) -> Vec<String> {
        let filter = format!("label=managed-by={}", self.prefix);
        let format = match listing[0] {
            "ps" => "{{.Names}}",
            _ => "{{.Name}}",
        };
        let all = [listing, &["--filter", &filter, "--format", format]].concat();
        let listed = docker(&all).await;
        listed.lines().map(str::to_owned).collect()
    }

    /// Whether the engine has nothing of this stand.
    pub(crate) async fn assert_nothing_left(&self) {
        for listing in [&["ps", "--all"][..], &["network", "ls"], &["volume", "ls"]] {
            let left = self.names(listing).await;
            assert!(left.is_empty(), "left behind: {left:?}");
        }
    }
}

/// What the engine's own client says.
pub(crate) async fn docker(arguments: &[&str]) -> String {
    let mut docker = Command::new("docker");
    if let Ok(host) = env::var("CONTAINER_SANDBOX_DOCKER_HOST") {
        docker.args(["-H", &host]);
    }
    let done = docker.args(arguments).output().await.unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "docker {arguments:?}: {said}");
    String::from_utf8(done.stdout).unwrap()
}
