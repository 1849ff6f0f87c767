//! Emulator, provider and gateway, and a caller with a key.

use std::{
    net::SocketAddr,
    process::Stdio,
    time::{Duration, Instant},
};

use sandgate_gateway::{Clock, Running};
use sandgate_proto::v1::{
    PauseSandboxRequest, ResumeSandboxRequest, Sandbox, SandboxState, SetConnectionRequest,
};
use sandgate_system::{Binary, Client, Plan, Tap, gateway_as};
use tempfile::TempDir;
use tonic::Status;

use crate::emulator::Emulator;

/// The caller's key.
pub(crate) const KEY: &str = "e2b_system";
/// How long something may take to become true.
const PATIENCE: Duration = Duration::from_secs(20);

/// What one is made of that is not plain.
#[derive(Default)]
pub(crate) struct Parts<'a> {
    /// Flags of the emulator.
    pub(crate) flags: &'a [&'a str],
    /// Environment of the provider.
    pub(crate) environment: &'a [(&'a str, &'a str)],
    /// The gateway; with `tap`, what it tells the provider can be read.
    pub(crate) plan: Plan,
    /// The caller's key, if any.
    pub(crate) key: Option<&'a str>,
}

/// All of them.
pub(crate) struct Stand {
    pub(crate) emulator: Emulator,
    pub(crate) client: Client,
    pub(crate) tap: Option<Tap>,
    provider: Option<Binary>,
    address: SocketAddr,
    gateway: Running,
    _data: TempDir,
}

impl Stand {
    /// A plain one, whose caller has [`KEY`].
    pub(crate) async fn start() -> Self {
        Self::with(&[], &[], Some(KEY)).await
    }

    /// With these flags of the emulator, this environment of the provider, and this key.
    pub(crate) async fn with(
        flags: &[&str],
        environment: &[(&str, &str)],
        key: Option<&str>,
    ) -> Self {
        Self::of(Parts {
            flags,
            environment,
            key,
            ..Parts::default()
        })
        .await
    }

    /// A plain one, whose gateway lives by this clock.
    pub(crate) async fn timed(clock: &Clock) -> Self {
        let plan = Plan {
            clock: clock.clone(),
            ..Plan::default()
        };
        Self::of(Parts {
            plan,
            key: Some(KEY),
            ..Parts::default()
        })
        .await
    }

    /// A plain one, between whose gateway and provider a tap is.
    pub(crate) async fn tapped() -> Self {
        let plan = Plan {
            tap: true,
            ..Plan::default()
        };
        Self::of(Parts {
            plan,
            key: Some(KEY),
            ..Parts::default()
        })
        .await
    }

    /// Of these parts.
    pub(crate) async fn of(parts: Parts<'_>) -> Self {
        let emulator = Emulator::start(parts.flags).await;
        let provider = provider(&emulator, "127.0.0.1:0", parts.environment).await;
        let address = provider.address();
        let tap = match parts.plan.tap {
            true => Some(Tap::to(address).await),
            false => None,
        };
        let way = tap.as_ref().map_or(address, Tap::address);
        let (gateway, data) = gateway_as(parts.plan, "e2b", way).await;
        let client = Client::connect(gateway.address()).await;
        let stand = Self {
            emulator,
            client,
            tap,
            provider: Some(provider),
            address,
            gateway,
            _data: data,
        };
        if let Some(key) = parts.key {
            stand.set_key(key).await.unwrap();
        }
        stand
    }

    /// SetConnection, which asks E2B whether the key is good.
    pub(crate) async fn set_key(&self, key: &str) -> Result<(), Status> {
        let request = SetConnectionRequest {
            provider: "e2b".to_owned(),
            api_key: key.to_owned(),
            ..Default::default()
        };
        let set = self.client.connections().set_connection(request).await;
        set.map(drop)
    }

    /// Where the gateway listens.
    pub(crate) fn gateway(&self) -> SocketAddr {
        self.gateway.address()
    }

    /// Where the provider listens.
    pub(crate) fn provider(&self) -> SocketAddr {
        self.address
    }

    /// E2B's id of the only sandbox that [`KEY`]'s account has.
    pub(crate) async fn upstream(&self) -> String {
        let mut all = self.emulator.sandboxes(KEY).await;
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    /// Kills the provider where it stands.
    pub(crate) fn kill_provider(&mut self) {
        drop(self.provider.take());
    }

    /// Starts it again at the same address.
    pub(crate) async fn start_provider(&mut self) {
        let listen = self.address.to_string();
        self.provider = Some(provider(&self.emulator, &listen, &[]).await);
    }

    /// PauseSandbox.
    pub(crate) async fn pause(&self, ids: &(String, String)) -> Result<Sandbox, Status> {
        let request = PauseSandboxRequest {
            session_id: ids.0.clone(),
            sandbox_id: ids.1.clone(),
            ..Default::default()
        };
        let answer = self.client.sandboxes().pause_sandbox(request).await?;
        Ok(answer.into_inner().sandbox.unwrap())
    }

    /// ResumeSandbox.
    pub(crate) async fn resume(&self, ids: &(String, String)) -> Result<Sandbox, Status> {
        let request = ResumeSandboxRequest {
            session_id: ids.0.clone(),
            sandbox_id: ids.1.clone(),
            ..Default::default()
        };
        let answer = self.client.sandboxes().resume_sandbox(request).await?;
        Ok(answer.into_inner().sandbox.unwrap())
    }

    /// What a command printed; it has to end well.
    pub(crate) async fn said(&self, ids: &(String, String), command: &str) -> String {
        let ran = self.client.exec(&ids.0, &ids.1, command).await.unwrap();
        assert_eq!(ran.exit_code(), Some(0), "{command}: {ran:?}");
        String::from_utf8(ran.stdout).unwrap()
    }

    /// Waits until GetSandbox says this.
    pub(crate) async fn becomes(&self, ids: &(String, String), state: SandboxState) {
        let begun = Instant::now();
        loop {
            let now = self.client.get(&ids.0, &ids.1).await.unwrap();
            if now.state() == state {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "not {state:?}: {now:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Waits until the account has so many sandboxes at E2B.
    pub(crate) async fn has(&self, many: usize) {
        let begun = Instant::now();
        loop {
            let all = self.emulator.sandboxes(KEY).await;
            if all.len() == many {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "not {many}: {all:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

async fn provider(emulator: &Emulator, listen: &str, environment: &[(&str, &str)]) -> Binary {
    let url = emulator.url();
    let arguments = ["--listen", listen, "--api-url", &url, "--sandbox-url", &url];
    let program = "sandgate-provider-e2b";
    Binary::start_with(program, &arguments, environment, Stdio::inherit()).await
}
