//! Everything that has to run before a figure can be taken, and its end.

use std::{net::SocketAddr, time::Duration};

use sandgate_proto::v1::{
    CapabilityRef, CreateSandboxRequest, CreateSessionRequest, SandboxSpec,
    sandbox_service_client::SandboxServiceClient, session_service_client::SessionServiceClient,
};
use tempfile::TempDir;
use tokio::time::timeout;
use uuid::Uuid;

use super::{
    load::{Ids, Road},
    nginx, provider,
};
use crate::{
    child::Running,
    config::RunArgs,
    error::{Error, Result, machine},
    gateway, programs,
    way::Way,
};

/// How long a session and a sandbox may take.
const CREATE: Duration = Duration::from_secs(30);

/// The processes, and the ways over them to the provider.
pub(crate) struct Setup {
    /// Straight, over nginx, over the gateway.
    pub(crate) roads: [Road; 3],
    // In the order of their end: each stops before what it calls.
    processes: Vec<Running>,
    _folder: TempDir,
}

impl Setup {
    /// Builds the gateway, starts everything, makes the sandbox.
    pub(crate) async fn start(args: &RunArgs) -> Result<Self> {
        let file = programs::find(args.gateway.as_ref(), programs::GATEWAY).await?;
        let folder =
            TempDir::with_prefix("sandgate-bench-").map_err(machine("cannot make a folder"))?;
        let key = Uuid::new_v4().to_string();

        let (provider, provider_address) = provider::start().await?;
        let (nginx, nginx_address) = nginx::start(args, folder.path(), provider_address).await?;
        let (gateway, gateway_address) = gateway::start(
            &file,
            folder.path(),
            (provider::ID, provider_address),
            Some(&key),
        )
        .await?;

        let ids = sandbox(gateway_address, Some(&key), None).await?;
        let road = |name, address| {
            let way = Way::new(name, address, args.connections, Some(&key))?;
            Ok::<_, Error>(Road::new(way, &ids))
        };
        let roads = [
            road("direct", provider_address)?,
            road("nginx", nginx_address)?.through(nginx.id()),
            road("gateway", gateway_address)?.through(gateway.id()),
        ];
        Ok(Self {
            roads,
            processes: vec![gateway, nginx, provider],
            _folder: folder,
        })
    }

    /// Ends every process and removes the folder.
    pub(crate) async fn stop(self) {
        drop(self.roads);
        for process in self.processes {
            process.stop().await;
        }
    }
}

/// A sandbox of a session, made through the gateway, so that it looks both up on every call.
pub(crate) async fn sandbox(
    gateway: SocketAddr,
    key: Option<&str>,
    spec: Option<SandboxSpec>,
) -> Result<Ids> {
    let way = Way::new("gateway", gateway, 1, key)?;
    let made = timeout(CREATE, make(&way, spec)).await;
    made.map_err(|_| Error::Late("making the sandbox"))?
}

async fn make(way: &Way, spec: Option<SandboxSpec>) -> Result<Ids> {
    let failed = |status| way.failed(status);
    let asked = CreateSessionRequest {
        capabilities: vec![CapabilityRef {
            r#ref: provider::ID.to_owned(),
            config: None,
        }],
        ..Default::default()
    };
    let mut sessions = SessionServiceClient::new(way.channel(0));
    let session = sessions
        .create_session(way.request(asked))
        .await
        .map_err(failed)?;
    let session_id = session.into_inner().session.unwrap_or_default().session_id;
    let asked = CreateSandboxRequest {
        session_id: session_id.clone(),
        spec,
        ..Default::default()
    };
    let mut sandboxes = SandboxServiceClient::new(way.channel(0));
    let sandbox = sandboxes
        .create_sandbox(way.request(asked))
        .await
        .map_err(failed)?;
    let sandbox_id = sandbox.into_inner().sandbox.unwrap_or_default().sandbox_id;
    Ok(Ids {
        session_id,
        sandbox_id,
    })
}
