//! A provider as a program of its own, a gateway in front of it, and a sandbox.

use std::{env, net::SocketAddr, time::Duration};

use sandgate_proto::v1::{
    ExecRequest, SetConnectionRequest, file_service_client::FileServiceClient,
};
use sandgate_system::{Binary, Client};
use tempfile::TempDir;
use tonic::transport::Channel;

/// Which provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Local,
    Container,
    E2b,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Local, Self::Container, Self::E2b];

    /// Its id.
    pub(crate) const fn id(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Container => "container",
            Self::E2b => "e2b",
        }
    }
}

/// All of them.
pub(crate) struct Stand {
    pub(crate) kind: Kind,
    pub(crate) client: Client,
    pub(crate) session_id: String,
    pub(crate) sandbox_id: String,
    /// Where its commands begin.
    pub(crate) workspace: String,
    pub(crate) provider: Option<Binary>,
    address: SocketAddr,
    upstream: Option<Binary>,
    data: TempDir,
    pub(crate) gateway: Binary,
    _gateway_data: TempDir,
}

impl Stand {
    pub(crate) async fn start(kind: Kind) -> Self {
        let upstream = upstream(kind).await;
        let data = tempfile::tempdir().unwrap();
        let provider = provider(kind, upstream.as_ref(), &data, "127.0.0.1:0").await;
        let address = provider.address();
        let gateway_data = tempfile::tempdir().unwrap();
        let gateway = gateway(kind, address, &gateway_data).await;
        let client = Client::connect(gateway.address()).await;
        set_key(&client, kind).await;
        let (session_id, sandbox_id) = client.pair().await;
        let made = client.get(&session_id, &sandbox_id).await.unwrap();
        Self {
            kind,
            client,
            session_id,
            sandbox_id,
            workspace: made.workspace_path,
            provider: Some(provider),
            address,
            upstream,
            data,
            gateway,
            _gateway_data: gateway_data,
        }
    }

    /// FileService.
    pub(crate) fn files(&self) -> FileServiceClient<Channel> {
        FileServiceClient::new(self.client.channel.clone())
    }

    /// What a shell line prints; it has to end well.
    pub(crate) async fn sh(&self, line: &str) -> String {
        let (session_id, sandbox_id) = (&self.session_id, &self.sandbox_id);
        let ran = self
            .client
            .exec(session_id, sandbox_id, line)
            .await
            .unwrap();
        assert_eq!(ran.exit_code(), Some(0), "{line}: {ran:?}");
        String::from_utf8(ran.stdout).unwrap()
    }

    /// Runs a program with these arguments, which no shell sees.
    pub(crate) async fn run(&self, argv: &[&str]) {
        let request = ExecRequest {
            session_id: self.session_id.clone(),
            sandbox_id: self.sandbox_id.clone(),
            argv: argv.iter().map(|word| (*word).to_owned()).collect(),
            ..ExecRequest::default()
        };
        let mut stream = self
            .client
            .sandboxes()
            .exec(request)
            .await
            .unwrap()
            .into_inner();
        let mut last = None;
        while let Some(message) = stream.message().await.unwrap() {
            last = Some(message);
        }
        let said = format!("{last:?}");
        assert!(said.contains("ExitCode(0)"), "{argv:?}: {said}");
    }

    /// Kills the provider where it stands.
    pub(crate) fn kill_provider(&mut self) {
        drop(self.provider.take());
    }

    /// Starts it again at the same address.
    pub(crate) async fn start_provider(&mut self) {
        let listen = self.address.to_string();
        let started = provider(self.kind, self.upstream.as_ref(), &self.data, &listen).await;
        self.provider = Some(started);
    }

    /// Removes the sandbox, which would else outlive the test.
    pub(crate) async fn end(self) {
        let deleted = self.client.delete(&self.session_id, &self.sandbox_id);
        tokio::time::timeout(Duration::from_secs(60), deleted)
            .await
            .unwrap()
            .unwrap();
    }
}

/// The emulator of E2B.
async fn upstream(kind: Kind) -> Option<Binary> {
    let arguments = ["e2b", "--listen", "127.0.0.1:0"];
    match kind {
        Kind::E2b => Some(Binary::start("sandgate-emulator", &arguments).await),
        Kind::Local | Kind::Container => None,
    }
}

/// A provider's program.
async fn provider(kind: Kind, upstream: Option<&Binary>, data: &TempDir, listen: &str) -> Binary {
    let folder = data.path().to_str().unwrap();
    let image = env::var("SANDGATE_TEST_IMAGE").unwrap_or("sandgate-test:bookworm".to_owned());
    let url = upstream.map(|upstream| format!("http://{}", upstream.address()));
    let url = url.unwrap_or_default();
    let own = match kind {
        Kind::Local => vec!["--data-dir", folder],
        Kind::Container => vec!["--data-dir", folder, "--image", &image],
        Kind::E2b => vec!["--api-url", &url, "--sandbox-url", &url],
    };
    let arguments = [&["--listen", listen], &own[..]].concat();
    Binary::start(&format!("sandgate-provider-{}", kind.id()), &arguments).await
}

async fn gateway(kind: Kind, provider: SocketAddr, data: &TempDir) -> Binary {
    let folder = data.path().to_str().unwrap();
    let providers = format!("{}=http://{provider}", kind.id());
    let arguments = [
        "--listen",
        "127.0.0.1:0",
        "--data-dir",
        folder,
        "--providers",
        &providers,
    ];
    Binary::start("sandgate-gateway", &arguments).await
}

/// Gives the caller a key for the provider's upstream, where it needs one.
async fn set_key(client: &Client, kind: Kind) {
    if kind == Kind::E2b {
        let request = SetConnectionRequest {
            provider: kind.id().to_owned(),
            api_key: "e2b_files".to_owned(),
            ..SetConnectionRequest::default()
        };
        client.connections().set_connection(request).await.unwrap();
    }
}
