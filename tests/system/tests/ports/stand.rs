//! A provider as a program, a gateway in front of it, and servers in its sandboxes.

use std::{env, net::SocketAddr, process::Stdio};

use sandgate_gateway::Running;
use sandgate_proto::v1::{
    CapabilityRef, CreateSandboxRequest, CreateSessionRequest, ExecRequest, ExecResponse,
    ExposePortRequest, ExposePortResponse, ExposedPort, GetProviderRequest, ListPortsRequest,
    NetworkMode, NetworkPolicy, SandboxSpec, UnexposePortRequest, exec_response::Event,
    port_service_client::PortServiceClient,
};
use sandgate_system::{Binary, Client, Plan, gateway_as, kill_sandboxes};
use tempfile::TempDir;
use tonic::{Status, Streaming, transport::Channel};

/// Session and sandbox.
pub(crate) type Ids = (String, String);

/// The script of the servers.
const SERVER: &str = include_str!("server.pl");

/// Provider and gateway.
pub(crate) struct Stand {
    pub(crate) client: Client,
    pub(crate) address: SocketAddr,
    provider: Option<Binary>,
    id: &'static str,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    _gateway: Running,
    folders: [TempDir; 2],
}

impl Drop for Stand {
    fn drop(&mut self) {
        kill_sandboxes(self.folders[0].path());
    }
}

impl Stand {
    /// The local provider, with these settings.
    pub(crate) async fn local(environment: &[(&str, &str)]) -> Self {
        Self::of("local", &[], environment).await
    }

    /// The container provider, with these flags besides.
    pub(crate) async fn container(flags: &[&str]) -> Self {
        let image = env::var("SANDGATE_TEST_IMAGE").unwrap_or("sandgate-test:bookworm".to_owned());
        let prefix = format!("ports-{}", &sandgate_system::uuid()[..8]);
        let own = ["--image", &image, "--name-prefix", &prefix];
        Self::of("container", &[&own, flags].concat(), &[]).await
    }

    async fn of(id: &'static str, flags: &[&str], environment: &[(&str, &str)]) -> Self {
        let data = tempfile::tempdir().unwrap();
        let folder = data.path().to_str().unwrap();
        let own = ["--data-dir", folder, "--drain-seconds", "1"];
        let arguments: Vec<String> = own
            .iter()
            .chain(flags)
            .map(|flag| (*flag).to_owned())
            .collect();
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let environment: Vec<_> = environment.iter().map(owned).collect();
        let provider = program(id, "127.0.0.1:0", &arguments, &environment).await;
        let address = provider.address();
        let (gateway, own) = gateway_as(Plan::default(), id, address).await;
        Self {
            client: Client::connect(gateway.address()).await,
            address,
            provider: Some(provider),
            id,
            arguments,
            environment,
            _gateway: gateway,
            folders: [data, own],
        }
    }

    /// Kills the provider where it stands.
    pub(crate) fn kill_provider(&mut self) {
        drop(self.provider.take());
    }

    /// Starts it again at the same address.
    pub(crate) async fn start_provider(&mut self) {
        let listen = self.address.to_string();
        let started = program(self.id, &listen, &self.arguments, &self.environment).await;
        self.provider = Some(started);
    }

    /// Ends it as an operator would.
    pub(crate) async fn end_provider(&mut self) {
        let provider = self.provider.take().unwrap();
        provider.terminate();
        assert!(provider.ended().await.success());
    }

    /// The provider's process.
    pub(crate) fn pid(&self) -> u32 {
        self.provider.as_ref().unwrap().pid()
    }

    /// A session that may do everything here, with a sandbox without any network.
    pub(crate) async fn pair(&self) -> Ids {
        self.pair_with(NetworkMode::None).await
    }

    /// The same with this network.
    pub(crate) async fn pair_with(&self, mode: NetworkMode) -> Ids {
        let asked = GetProviderRequest {
            provider: self.id.to_owned(),
        };
        let known = self.client.providers().get_provider(asked).await.unwrap();
        let refs = known.into_inner().provider.unwrap().capability_refs;
        let of = |name: String| CapabilityRef {
            r#ref: name,
            config: None,
        };
        let request = CreateSessionRequest {
            capabilities: refs.into_iter().map(of).collect(),
            ..Default::default()
        };
        let made = self
            .client
            .sessions()
            .create_session(request)
            .await
            .unwrap();
        let session_id = made.into_inner().session.unwrap().session_id;
        let network = NetworkPolicy {
            mode: mode.into(),
            ..Default::default()
        };
        let request = CreateSandboxRequest {
            session_id: session_id.clone(),
            spec: Some(SandboxSpec {
                network: Some(network),
                ..Default::default()
            }),
            ..Default::default()
        };
        let sandbox = self.client.create(request).await.unwrap().sandbox.unwrap();
        (session_id, sandbox.sandbox_id)
    }

    fn ports(&self) -> PortServiceClient<Channel> {
        PortServiceClient::new(self.client.channel.clone())
    }

    /// ExposePort.
    pub(crate) async fn try_expose(
        &self,
        ids: &Ids,
        port: u32,
    ) -> Result<ExposePortResponse, Status> {
        let request = ExposePortRequest {
            session_id: ids.0.clone(),
            sandbox_id: ids.1.clone(),
            port,
        };
        Ok(self.ports().expose_port(request).await?.into_inner())
    }

    /// ExposePort, which works; the address.
    pub(crate) async fn expose(&self, ids: &Ids, port: u32) -> SocketAddr {
        let exposed = self.try_expose(ids, port).await.unwrap();
        assert!(exposed.headers.is_empty());
        exposed
            .url
            .strip_prefix("http://")
            .unwrap()
            .parse()
            .unwrap()
    }

    /// ListPorts.
    pub(crate) async fn listed(&self, ids: &Ids) -> Result<Vec<ExposedPort>, Status> {
        let request = ListPortsRequest {
            session_id: ids.0.clone(),
            sandbox_id: ids.1.clone(),
            ..Default::default()
        };
        Ok(self.ports().list_ports(request).await?.into_inner().ports)
    }

    /// UnexposePort.
    pub(crate) async fn unexpose(&self, ids: &Ids, port: u32) -> Result<(), Status> {
        let request = UnexposePortRequest {
            session_id: ids.0.clone(),
            sandbox_id: ids.1.clone(),
            port,
        };
        self.ports().unexpose_port(request).await.map(drop)
    }

    /// Has the server listen in the sandbox; it ends with the sandbox.
    pub(crate) async fn serve(&self, ids: &Ids, port: u32) -> Streaming<ExecResponse> {
        serve(&self.client, ids, port).await
    }

    /// A sandbox with the server, exposed.
    pub(crate) async fn served(&self) -> (Ids, SocketAddr) {
        let ids = self.pair().await;
        self.serve(&ids, 8080).await;
        let address = self.expose(&ids, 8080).await;
        (ids, address)
    }
}

/// Has the server listen in a sandbox.
pub(crate) async fn serve(client: &Client, ids: &Ids, port: u32) -> Streaming<ExecResponse> {
    let argv = ["perl", "-e", SERVER, &port.to_string()];
    let request = ExecRequest {
        session_id: ids.0.clone(),
        sandbox_id: ids.1.clone(),
        argv: argv.map(str::to_owned).to_vec(),
        ..Default::default()
    };
    let mut stream = client.sandboxes().exec(request).await.unwrap().into_inner();
    loop {
        match stream.message().await.unwrap().unwrap().event.unwrap() {
            Event::Output(output) if output.data.starts_with(b"up") => return stream,
            Event::Ended(ended) => panic!("no server: {ended:?}"),
            Event::Output(output) => panic!("no server: {:?}", output.data),
            _ => {}
        }
    }
}

async fn program(
    id: &str,
    listen: &str,
    arguments: &[String],
    environment: &[(String, String)],
) -> Binary {
    let mut all = vec!["--listen", listen];
    all.extend(arguments.iter().map(String::as_str));
    let environment: Vec<_> = environment
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let program = format!("sandgate-provider-{id}");
    Binary::start_with(&program, &all, &environment, Stdio::inherit()).await
}
