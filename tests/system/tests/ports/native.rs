//! Addresses that E2B itself gives, at its emulator.

use std::{collections::BTreeMap, net::SocketAddr};

use bytes::Bytes;
use http::StatusCode;
use sandgate_proto::{
    Reason,
    v1::{
        CreateSandboxRequest, ExposePortRequest, ExposePortResponse, ListPortsRequest, NetworkMode,
        NetworkPolicy, PauseSandboxRequest, SandboxSpec, SetConnectionRequest, UnexposePortRequest,
        port_service_client::PortServiceClient,
    },
};
use sandgate_system::{Binary, Client, assert_reason, gateway_for};
use tonic::{Status, transport::Channel};

use crate::{
    stand::{Ids, serve},
    visitor::{digest, fetch, pattern},
};

/// Bytes of a large body.
const LARGE: usize = 16 << 20;

struct Cloud {
    client: Client,
    ids: Ids,
    emulator: Binary,
    _held: (Binary, sandgate_gateway::Running, tempfile::TempDir),
}

impl Cloud {
    async fn start() -> Self {
        let emulator =
            Binary::start("sandgate-emulator", &["e2b", "--listen", "127.0.0.1:0"]).await;
        let url = format!("http://{}", emulator.address());
        let arguments = [
            "--listen",
            "127.0.0.1:0",
            "--api-url",
            &url,
            "--sandbox-url",
            &url,
        ];
        let provider = Binary::start("sandgate-provider-e2b", &arguments).await;
        let (gateway, data) = gateway_for("e2b", provider.address()).await;
        let client = Client::connect(gateway.address()).await;
        let request = SetConnectionRequest {
            provider: "e2b".to_owned(),
            api_key: "e2b_ports".to_owned(),
            ..Default::default()
        };
        client.connections().set_connection(request).await.unwrap();
        let session_id = client.session().await;
        // With a network, all sandboxes of the emulator would share this machine's ports.
        let network = NetworkPolicy {
            mode: NetworkMode::None.into(),
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
        let sandbox = client.create(request).await.unwrap().sandbox.unwrap();
        Self {
            client,
            ids: (session_id, sandbox.sandbox_id),
            emulator,
            _held: (provider, gateway, data),
        }
    }

    fn ports(&self) -> PortServiceClient<Channel> {
        PortServiceClient::new(self.client.channel.clone())
    }

    async fn expose(&self, port: u32) -> ExposePortResponse {
        let request = ExposePortRequest {
            session_id: self.ids.0.clone(),
            sandbox_id: self.ids.1.clone(),
            port,
        };
        self.ports()
            .expose_port(request)
            .await
            .unwrap()
            .into_inner()
    }

    async fn listed(&self) -> Result<Vec<u32>, Status> {
        let request = ListPortsRequest {
            session_id: self.ids.0.clone(),
            sandbox_id: self.ids.1.clone(),
            ..Default::default()
        };
        let listed = self.ports().list_ports(request).await?.into_inner();
        Ok(listed.ports.iter().map(|one| one.port).collect())
    }

    async fn unexpose(&self, port: u32) -> Result<(), Status> {
        let request = UnexposePortRequest {
            session_id: self.ids.0.clone(),
            sandbox_id: self.ids.1.clone(),
            port,
        };
        self.ports().unexpose_port(request).await.map(drop)
    }

    async fn get(&self, headers: &BTreeMap<String, String>, path: &str) -> (StatusCode, Bytes) {
        let at: SocketAddr = self.emulator.address();
        let line = format!("GET {path}");
        fetch(at, headers, &line, Bytes::new()).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_listens_answers_to_who_has_the_token() {
    let cloud = Cloud::start().await;
    let exposed = cloud.expose(8080).await;
    assert_eq!(exposed.url, format!("http://{}", cloud.emulator.address()));
    assert_eq!(exposed.expire_time, None);
    let (status, said) = cloud.get(&exposed.headers, "/").await;
    assert_eq!(status, StatusCode::BAD_GATEWAY);
    assert!(String::from_utf8_lossy(&said).contains("port is not open"));
    assert_eq!(cloud.listed().await.unwrap(), [0; 0]);

    serve(&cloud.client, &cloud.ids, 8080).await;
    let (status, said) = cloud.get(&exposed.headers, "/").await;
    assert_eq!((status, &said[..]), (StatusCode::OK, &b"hello"[..]));
    let path = format!("/bytes/{LARGE}");
    let (_, came) = cloud.get(&exposed.headers, &path).await;
    assert_eq!(digest(&came), digest(&pattern(LARGE)));
    assert_eq!(cloud.listed().await.unwrap(), [8080]);
    assert_eq!(cloud.expose(8080).await, exposed);

    let token = "e2b-traffic-access-token";
    let mut without = exposed.headers.clone();
    without.remove(token).expect("sandboxes are made closed");
    assert_eq!(cloud.get(&without, "/").await.0, StatusCode::FORBIDDEN);
    without.insert(token.to_owned(), "guessed".to_owned());
    assert_eq!(cloud.get(&without, "/").await.0, StatusCode::FORBIDDEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_stays_as_long_as_the_sandbox_runs() {
    let cloud = Cloud::start().await;
    serve(&cloud.client, &cloud.ids, 8080).await;
    let exposed = cloud.expose(8080).await;
    let error = cloud.unexpose(8080).await.unwrap_err();
    assert_reason(&error, Reason::CapabilityUnsupported, "stop the sandbox");
    let pause = PauseSandboxRequest {
        session_id: cloud.ids.0.clone(),
        sandbox_id: cloud.ids.1.clone(),
        ..Default::default()
    };
    cloud.client.sandboxes().pause_sandbox(pause).await.unwrap();
    assert_eq!(
        cloud.get(&exposed.headers, "/").await.0,
        StatusCode::BAD_GATEWAY
    );
    let error = cloud.listed().await.unwrap_err();
    assert_reason(&error, Reason::SandboxNotRunning, "");
    // Exposing lets it go on, with the same token.
    assert_eq!(cloud.expose(8080).await, exposed);
    assert_eq!(cloud.get(&exposed.headers, "/").await.0, StatusCode::OK);
    cloud
        .client
        .delete(&cloud.ids.0, &cloud.ids.1)
        .await
        .unwrap();
    assert_eq!(
        cloud.get(&exposed.headers, "/").await.0,
        StatusCode::BAD_GATEWAY
    );
}
