//! A gateway with one scripted provider, in this process, over real sockets.

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use sandgate_gateway::{Access, Config, ProviderEntry};
use sandgate_kit::KitArgs;
use sandgate_service::{TlsFiles, process::ProcessArgs};
use tempfile::TempDir;

use crate::{Client, Fake, Link, Raw, Tap};

/// What to build.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Put a [`Link`] in front of the provider.
    pub link: bool,
    /// Put a [`Tap`] in front of the provider, behind the link.
    pub tap: bool,
    /// The gateway's first key.
    pub admin_key: Option<&'static str>,
    /// The token that the provider wants.
    pub provider_token: Option<&'static str>,
    /// The token that the gateway sends.
    pub gateway_token: Option<&'static str>,
    /// TLS of the provider.
    pub provider_tls: TlsFiles,
    /// TLS of the gateway towards the provider.
    pub access_tls: TlsFiles,
}

/// All that was built. Dropping it ends nothing by itself: the test's runtime does.
pub struct World {
    /// The provider's script.
    pub fake: Fake,
    /// Where the gateway listens.
    pub gateway: SocketAddr,
    /// Where the provider listens, behind link and tap.
    pub provider: SocketAddr,
    /// Ends the gateway.
    pub running: sandgate_gateway::Running,
    config: Config,
    link: Option<Arc<Link>>,
    tap: Option<Tap>,
    _data: TempDir,
    _provider: sandgate_kit::Running,
}

impl World {
    /// Gateway and provider, nothing between.
    pub async fn start() -> Self {
        Self::with(Plan::default()).await
    }

    /// A link between them.
    pub async fn linked() -> Self {
        Self::with(Plan {
            link: true,
            ..Plan::default()
        })
        .await
    }

    /// A tap between them.
    pub async fn tapped() -> Self {
        Self::with(Plan {
            tap: true,
            ..Plan::default()
        })
        .await
    }

    /// As planned.
    pub async fn with(plan: Plan) -> Self {
        let fake = Fake::default();
        let args = KitArgs {
            provider_token: plan.provider_token.map(Into::into),
            tls_cert: plan.provider_tls.cert.clone(),
            tls_key: plan.provider_tls.key.clone(),
            tls_ca: plan.provider_tls.ca.clone(),
            ..kit_args()
        };
        let provider = sandgate_kit::start(fake.clone(), &args, ([127, 0, 0, 1], 0).into())
            .await
            .unwrap();
        let mut address = provider.address();
        let mut tap = None;
        if plan.tap {
            let made = Tap::to(address).await;
            address = made.address();
            tap = Some(made);
        }
        let mut link = None;
        if plan.link {
            let made = Link::to(address).await;
            address = made.address();
            link = Some(made);
        }
        let data = tempfile::tempdir().unwrap();
        let config = plan.config(address, &data);
        let running = sandgate_gateway::start(config.clone()).await.unwrap();
        Self {
            fake,
            gateway: running.address(),
            provider: provider.address(),
            running,
            config,
            link,
            tap,
            _data: data,
            _provider: provider,
        }
    }

    /// Ends the gateway after this time, and starts one with the same data, elsewhere.
    pub async fn restarted(self, grace: Duration) -> Self {
        self.running.stop(grace).await;
        let running = sandgate_gateway::start(self.config.clone()).await.unwrap();
        Self {
            gateway: running.address(),
            running,
            ..self
        }
    }

    /// The link that was planned.
    pub fn link(&self) -> &Link {
        self.link.as_ref().expect("the plan has no link")
    }

    /// The tap that was planned.
    pub fn tap(&self) -> &Tap {
        self.tap.as_ref().expect("the plan has no tap")
    }

    /// A proper client of the gateway.
    pub async fn client(&self) -> Client {
        Client::connect(self.gateway).await
    }

    /// An improper client of the gateway.
    pub async fn raw(&self) -> Raw {
        Raw::connect(self.gateway).await
    }
}

impl Plan {
    /// The gateway's configuration, with its provider at `address`.
    fn config(self, address: SocketAddr, data: &TempDir) -> Config {
        let scheme = if self.provider_tls.is_empty() {
            "http"
        } else {
            "https"
        };
        Config {
            listen: ([127, 0, 0, 1], 0).into(),
            database: data.path().join("sandgate.db"),
            providers: vec![ProviderEntry {
                id: Fake::ID.to_owned(),
                urls: vec![format!("{scheme}://{address}")],
            }],
            access: Access {
                token: self.gateway_token.map(Into::into),
                tls: self.access_tls,
                connections: 2,
            },
            admin_key: self.admin_key.map(Into::into),
            tls: TlsFiles::default(),
            workers: 2,
        }
    }
}

/// A gateway of its own for a provider at `address`, and the folder of its data.
pub async fn gateway_for(id: &str, address: SocketAddr) -> (sandgate_gateway::Running, TempDir) {
    let data = tempfile::tempdir().unwrap();
    let mut config = Plan::default().config(address, &data);
    id.clone_into(&mut config.providers[0].id);
    let running = sandgate_gateway::start(config).await.unwrap();
    (running, data)
}

/// Arguments of a provider on any free port of this machine.
pub fn kit_args() -> KitArgs {
    KitArgs {
        listen: Some(([127, 0, 0, 1], 0).into()),
        provider_token: None,
        tls_cert: None,
        tls_key: None,
        tls_ca: None,
        process: ProcessArgs {
            config: None,
            log: "info".to_owned(),
            log_json: false,
            drain_seconds: 1,
        },
    }
}

/// A new id.
pub fn uuid() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// Waits, for at most 20 s, until something holds.
#[track_caller]
pub fn eventually(what: &'static str, mut holds: impl FnMut() -> bool) -> impl Future<Output = ()> {
    let place = std::panic::Location::caller();
    async move {
        for _ in 0..2000 {
            if holds() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{place}: not within 20 s: {what}");
    }
}
