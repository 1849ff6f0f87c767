//! A gateway with one scripted provider, in this process, over real sockets.

use std::{
    future::Future,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use sandgate_gateway::{Config, FilesPlace, Running, StartError};
use sandgate_kit::{KitArgs, PortArgs};
use sandgate_service::process::ProcessArgs;
use tempfile::TempDir;

use crate::{Caller, Client, Fake, Link, Plan, Raw, Tap, plan::keys};

/// All that was built. Dropping it ends nothing by itself: the test's runtime does.
pub struct World {
    /// The provider's script.
    pub fake: Fake,
    /// Where the gateway listens.
    pub gateway: SocketAddr,
    /// Where the provider listens, behind link and tap.
    pub provider: SocketAddr,
    /// Ends the gateway.
    pub running: Running,
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
        fake.can_pause(plan.can_pause);
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
        let config = plan.config(address, data.path());
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
        self.away(grace, std::future::ready(())).await
    }

    /// As [`Self::restarted`], and this happens while there is none.
    pub async fn away(self, grace: Duration, meanwhile: impl Future<Output = ()>) -> Self {
        self.running.stop(grace).await;
        meanwhile.await;
        let running = sandgate_gateway::start(self.config.clone()).await.unwrap();
        Self {
            gateway: running.address(),
            running,
            ..self
        }
    }

    /// Starts another gateway with the same data, beside this one.
    pub async fn beside(&self) -> Running {
        sandgate_gateway::start(self.config.clone()).await.unwrap()
    }

    /// The same with the data of another folder.
    ///
    /// # Errors
    /// Where it does not start.
    pub async fn beside_on(&self, data: &Path) -> Result<Running, StartError> {
        let config = Config {
            database: data.join("sandgate.db"),
            files: FilesPlace::Folder(data.join("files")),
            data_dir: data.to_owned(),
            ..self.config.clone()
        };
        sandgate_gateway::start(config).await
    }

    /// The same with these encryption keys.
    ///
    /// # Errors
    /// Where it does not start.
    pub async fn beside_with(&self, encryption_keys: &str) -> Result<Running, StartError> {
        let config = Config {
            keys: keys(encryption_keys),
            ..self.config.clone()
        };
        sandgate_gateway::start(config).await
    }

    /// Ends the gateway at once, and starts one with the same data and these encryption keys.
    pub async fn rekeyed(mut self, encryption_keys: &str) -> Self {
        self.config.keys = keys(encryption_keys);
        self.restarted(Duration::ZERO).await
    }

    /// The file of the gateway's database.
    pub fn database(&self) -> PathBuf {
        self.config.database.clone()
    }

    /// A gateway of this plan with an administrator's key, and the administrator.
    pub async fn administered(plan: Plan) -> (Self, Caller) {
        const KEY: &str = "the key of the administrator";
        let world = Self::with(Plan {
            admin_key: Some(KEY),
            ..plan
        })
        .await;
        let admin = Caller::connect(world.gateway, KEY).await;
        (world, admin)
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

/// A gateway of its own for a provider at `address`, and the folder of its data.
pub async fn gateway_for(id: &str, address: SocketAddr) -> (Running, TempDir) {
    gateway_as(Plan::default(), id, address).await
}

/// The same, as planned.
pub async fn gateway_as(plan: Plan, id: &str, address: SocketAddr) -> (Running, TempDir) {
    let data = tempfile::tempdir().unwrap();
    let mut config = plan.config(address, data.path());
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
        ports: PortArgs::default(),
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
