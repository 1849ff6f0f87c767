//! Builds the rooms, each on those below it.

use std::sync::Arc;

use sandgate_proto::Problem;
use sandgate_service::{Drain, PeerError, Workers, web};
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::StartError;
use crate::{
    Config,
    agent::Agents,
    audit,
    credential::{Connections, Credentials, GitHub, Safe, Secrets},
    file::Files,
    fleet::{Fleet, Runtimes},
    identity::{Authenticator, Settings},
    kept::Kept,
    objects::Objects,
    replay::Replays,
    sandbox::{self, Sandboxes},
    session::{Belongings, Capabilities, Removals, Sessions},
    store::{SqliteStore, Store, StoreError},
    transfer::Transfers,
    vault::Vault,
    watch::Watches,
};

/// What calls are answered from.
pub(super) struct Rooms {
    pub(super) ground: Ground,
    pub(super) owned: Owned,
    pub(super) identity: Arc<Authenticator>,
    pub(super) sandboxes: Sandboxes,
    pub(super) removals: Removals,
    pub(super) watches: Watches,
    pub(super) transfers: Transfers,
    pub(super) replays: Arc<Replays>,
    pub(super) log: audit::Log,
}

/// What all rooms stand on.
pub(super) struct Ground {
    pub(super) store: Arc<dyn Store>,
    gateway_id: Uuid,
    pub(super) vault: Vault,
    pub(super) fleet: Arc<Fleet>,
}

/// What belongs to users and organisations, but for their sandboxes.
pub(super) struct Owned {
    pub(super) agents: Arc<Agents>,
    pub(super) sessions: Arc<Sessions>,
    pub(super) credentials: Arc<Credentials>,
    pub(super) secrets: Arc<Secrets>,
    pub(super) connections: Arc<Connections>,
    pub(super) kept: Arc<Kept>,
    pub(super) files: Arc<Files>,
}

impl Ground {
    async fn new(config: &Config, workers: &Workers) -> Result<Self, StartError> {
        let unusable = |error: StoreError| StartError::Store {
            path: config.database.clone(),
            remedy: error.fault().remedy(),
            cause: error.to_string(),
        };
        let store = SqliteStore::open(&config.database).await;
        let store: Arc<dyn Store> = Arc::new(store.map_err(unusable)?);
        let gateway_id = store.gateway_id().await.map_err(unusable)?;
        let loopback = config.listen.ip().is_loopback();
        let keyring = config.keys.keyring(&config.data_dir, loopback)?;
        Ok(Self {
            store,
            gateway_id,
            vault: Vault::new(Arc::new(keyring)),
            fleet: Arc::new(fleet(config, workers)?),
        })
    }
}

impl Owned {
    fn new(config: &Config, ground: &Ground, tasks: &TaskTracker) -> Result<Self, StartError> {
        let (store, fleet) = (&ground.store, &ground.fleet);
        let offer = Capabilities::new(fleet, config.features.container_sandbox());
        let offer = Arc::new(offer);
        let agents = Arc::new(Agents::new(store.clone(), offer.clone()));
        let sessions = Arc::new(Sessions::new(store.clone(), offer, agents.clone()));
        let (objects, limits) = (Objects::open(&config.files)?, config.limits);
        let files = Files::new(
            store.clone(),
            sessions.clone(),
            objects,
            limits,
            tasks.clone(),
        );
        let safe = Safe::new(store.clone(), ground.vault.clone());
        let credentials = Credentials::new(safe.clone(), config.connections.github_hosts());
        let kept = Kept::new(store.clone(), ground.vault.clone());
        let bytes = config.limits.quota_session_bytes;
        let secrets = Secrets::new(safe.clone(), sessions.clone(), bytes);
        let github = GitHub::new(web::client()?, config.connections.github_api_url());
        let connections = Connections::new(safe, fleet.clone(), github, ground.gateway_id);
        Ok(Self {
            agents,
            sessions,
            credentials: Arc::new(credentials),
            secrets: Arc::new(secrets),
            connections: Arc::new(connections),
            kept: Arc::new(kept),
            files: Arc::new(files),
        })
    }
}

impl Rooms {
    /// Opens the store and builds all that stands on it; nothing runs yet.
    pub(super) async fn new(
        config: &Config,
        workers: &Workers,
        tasks: &TaskTracker,
        drain: &Drain,
    ) -> Result<(Self, audit::Writer), StartError> {
        let identities = identities(config)?;
        let ground = Ground::new(config, workers).await?;
        let store = &ground.store;
        let identity = authenticator(config, identities, store)?;
        let sealed = |problem: Problem| StartError::Sealed(problem.to_string());
        let replays = Replays::open(store.clone(), ground.vault.clone());
        let replays = Arc::new(replays.await.map_err(sealed)?);
        let (log, writer) = audit_log(config, store).await?;
        let owned = Owned::new(config, &ground, tasks)?;
        let sandboxes = sandboxes(config, &ground, &owned, &replays, tasks);
        let removals = Removals::new(
            store.clone(),
            owned.sessions.clone(),
            sandboxes.clone(),
            Belongings {
                at_once: vec![owned.files.clone()],
                after_sandboxes: vec![owned.credentials.clone(), owned.kept.clone()],
            },
            tasks.clone(),
            config.pace,
        );
        let transfers = Transfers::new(
            store.clone(),
            sandboxes.clone(),
            owned.files.clone(),
            replays.clone(),
            tasks.clone(),
            drain.clone(),
        );
        let watches = Watches::new(store, &owned.sessions, &sandboxes, drain).run(tasks);
        let rooms = Self {
            ground,
            owned,
            identity,
            sandboxes,
            removals,
            watches,
            transfers,
            replays,
            log,
        };
        Ok((rooms, writer))
    }
}

fn sandboxes(
    config: &Config,
    ground: &Ground,
    owned: &Owned,
    replays: &Arc<Replays>,
    tasks: &TaskTracker,
) -> Sandboxes {
    let parts = sandbox::Parts {
        store: ground.store.clone(),
        fleet: ground.fleet.clone(),
        sessions: owned.sessions.clone(),
        credentials: owned.credentials.clone(),
        kept: owned.kept.clone(),
        files: owned.files.clone(),
        replays: replays.clone(),
        vault: ground.vault.clone(),
        limits: config.limits,
        gateway_id: ground.gateway_id,
        clock: config.clock.clone(),
        pace: config.pace,
    };
    Sandboxes::new(parts, tasks.clone())
}

/// The providers, with connections on every worker.
fn fleet(config: &Config, workers: &Workers) -> Result<Fleet, PeerError> {
    let runtimes = Runtimes {
        own: Handle::current(),
        workers: workers.runtimes().cloned().collect(),
    };
    Fleet::new(&config.providers, &config.access, &runtimes)
}

/// The identities that are configured; refuses to be open to everybody on the network.
fn identities(config: &Config) -> Result<Settings, StartError> {
    let settings = Settings::of(&config.identity, config.tls.ca.is_some())?;
    if config.admin_key.is_none() && settings.is_empty() {
        if !config.listen.ip().is_loopback() {
            return Err(StartError::Open(config.listen));
        }
        tracing::warn!("no key is configured: everybody on this machine is let in as dev");
    }
    Ok(settings)
}

fn authenticator(
    config: &Config,
    identities: Settings,
    store: &Arc<dyn Store>,
) -> Result<Arc<Authenticator>, StartError> {
    let admin_key = config.admin_key.as_ref();
    let loopback = config.listen.ip().is_loopback();
    let identity = Authenticator::new(store.clone(), admin_key, identities, loopback)?;
    Ok(Arc::new(identity))
}

async fn audit_log(
    config: &Config,
    store: &Arc<dyn Store>,
) -> Result<(audit::Log, audit::Writer), StartError> {
    let file = config.audit.audit_file.clone();
    let started = audit::start(store.clone(), file.clone()).await;
    started.map_err(|cause| StartError::AuditFile {
        path: file.unwrap_or_default(),
        cause,
    })
}
