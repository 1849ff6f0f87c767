//! The providers, each as a program, and how their sandboxes reach a server on this machine.

use std::{env, fs::File, net::SocketAddr, path::Path, process::Stdio};

use sandgate_proto::v1::{NetworkMode, NetworkPolicy, SandboxSpec};
use sandgate_system::Binary;
use tokio::process::Command;

/// A provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Local,
    Container,
    E2b,
}

impl Kind {
    pub(crate) const fn id(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Container => "container",
            Self::E2b => "e2b",
        }
    }

    /// Starts it, with a log of everything there; and what it needs besides.
    pub(crate) async fn start(self, folder: &Path) -> Vec<Binary> {
        let data = folder.join("provider");
        let data = data.to_str().unwrap();
        let image = env::var("SANDGATE_TEST_IMAGE").unwrap_or("sandgate-test:bookworm".to_owned());
        let program = format!("sandgate-provider-{}", self.id());
        let start = async |arguments: &[&str]| {
            let all = [&["--listen", "127.0.0.1:0"], arguments].concat();
            let log = Stdio::from(File::create(folder.join("provider.log")).unwrap());
            Binary::start_with(&program, &all, &[("SANDGATE_LOG", "trace")], log).await
        };
        match self {
            Self::Local => vec![start(&["--data-dir", data]).await],
            Self::Container => vec![start(&["--data-dir", data, "--image", &image]).await],
            Self::E2b => {
                let emulator = ["e2b", "--listen", "127.0.0.1:0"];
                let emulator = Binary::start("sandgate-emulator", &emulator).await;
                let url = format!("http://{}", emulator.address());
                let provider = start(&["--api-url", &url, "--sandbox-url", &url]).await;
                vec![provider, emulator]
            }
        }
    }

    /// A sandbox that has a network.
    pub(crate) fn spec(self) -> SandboxSpec {
        let mut network = NetworkPolicy::default();
        if self != Self::E2b {
            network.set_mode(NetworkMode::Full);
        }
        SandboxSpec {
            network: Some(network),
            ..Default::default()
        }
    }

    /// By which address its sandboxes reach this machine.
    pub(crate) async fn machine(self) -> String {
        if self != Self::Container {
            return "127.0.0.1".to_owned();
        }
        let mut docker = Command::new("docker");
        if let Ok(host) = env::var("CONTAINER_SANDBOX_DOCKER_HOST") {
            docker.args(["-H", &host]);
        }
        let format = "{{(index .IPAM.Config 0).Gateway}}";
        docker.args(["network", "inspect", "bridge", "--format", format]);
        let done = docker.output().await.unwrap();
        assert!(done.status.success(), "{done:?}");
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    }
}

/// Where the first of them listens.
pub(crate) fn address(binaries: &[Binary]) -> SocketAddr {
    binaries[0].address()
}
