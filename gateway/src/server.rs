//! Builds a gateway from its configuration, serves, drains.

use std::{net::SocketAddr, process::ExitCode, sync::Arc, time::Duration};

use sandgate_proto::{
    limits,
    v1::{
        provider_service_server::ProviderServiceServer,
        sandbox_service_server::SandboxServiceServer, session_service_server::SessionServiceServer,
    },
};
use sandgate_service::{Built, Drain, PeerError, Server, ServerError, Typed, Workers, process};
use thiserror::Error;
use tokio::{runtime::Handle, task::JoinHandle, time::timeout};
use tokio_util::task::TaskTracker;
use tonic::service::Routes;

use crate::{
    Args, BUILT, Config,
    edge::{Auth, Edge},
    fleet::{Fleet, Runtimes},
    ops,
    relay::Relay,
    rpc::{Providers, SandboxRpc, SessionRpc},
    sandbox::Sandboxes,
    session::Sessions,
    store::{SqliteStore, Store, StoreError},
};

/// How long creates and deletes under way may keep an ending process alive.
const LAST_WORK: Duration = Duration::from_secs(30);

/// Why a gateway could not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// Its address or its TLS files cannot be used.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// It would be open to everyone on the network.
    #[error(
        "{0} is not a loopback address: set SANDGATE_ADMIN_KEY, so that not everybody is let in"
    )]
    Open(SocketAddr),
    /// A provider's address or the TLS files for it cannot be used.
    #[error(transparent)]
    Provider(#[from] PeerError),
    /// The system gives no more threads.
    #[error(
        "cannot start the worker threads: {0}; lower SANDGATE_WORKERS or raise the limits of this process"
    )]
    Workers(#[source] std::io::Error),
    /// The database cannot be used.
    #[error(
        "cannot use the database {path}: {cause}; check that the folder is there and writable, and the disk not full"
    )]
    Store {
        /// Which file.
        path: std::path::PathBuf,
        /// Why not.
        cause: String,
    },
    /// Server reflection could not be set up.
    #[error("server reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// A gateway that serves.
pub struct Running {
    address: SocketAddr,
    drain: Drain,
    task: JoinHandle<()>,
}

impl Running {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The handle that ends it.
    pub fn drain(&self) -> Drain {
        self.drain.clone()
    }

    /// Resolves when it has ended.
    pub async fn ended(self) {
        let _ = self.task.await;
    }

    /// Ends it: running calls get `grace`.
    pub async fn stop(self, grace: Duration) {
        let Self {
            drain, mut task, ..
        } = self;
        tokio::select! {
            _ = &mut task => return,
            () = drain.run(grace) => {}
        }
        let _ = task.await;
    }
}

/// Opens the store, binds the address, and serves.
///
/// # Errors
/// Where something of the configuration cannot be used, or would be open to strangers.
pub async fn start(config: Config) -> Result<Running, StartError> {
    let auth = auth(&config)?;
    let unusable = |error: StoreError| StartError::Store {
        path: config.database.clone(),
        cause: error.to_string(),
    };
    let store = SqliteStore::open(&config.database)
        .await
        .map_err(unusable)?;
    let store: Arc<dyn Store> = Arc::new(store);
    let gateway_id = store.gateway_id().await.map_err(unusable)?;
    let workers = Workers::start(config.workers).map_err(StartError::Workers)?;
    let fleet = Arc::new(fleet(&config, &workers)?);
    let server = Server::bind(config.listen, &config.tls).await?.on(workers);
    let (address, drain, tasks) = (server.address(), Drain::new(), TaskTracker::new());

    let sessions = Arc::new(Sessions::new(store.clone(), fleet.clone()));
    let sandboxes = Sandboxes::new(
        store.clone(),
        fleet.clone(),
        sessions.clone(),
        gateway_id,
        tasks.clone(),
    );
    let (reporter, health) = tonic_health::server::health_reporter();
    let routes = Routes::new(health);
    let routes = with_own_services(routes, sessions, sandboxes.clone(), fleet.clone());
    let owned = Typed(Built::new(ops::with_reflection(routes)?.prepare(), BUILT));
    let edge = Edge::new(auth, Relay::new(sandboxes), owned);

    fleet.watch(&tasks, &drain);
    // The store has just answered. Without this, probes would be told that no such service exists.
    ops::report(&reporter, true).await;
    tasks.spawn(ops::watch_health(reporter, store, drain.clone()));
    let task = tokio::spawn({
        let drain = drain.clone();
        async move {
            server.serve(move |peer| edge.on(peer.worker), drain).await;
            tasks.close();
            if timeout(LAST_WORK, tasks.wait()).await.is_err() {
                tracing::warn!(
                    "ended with sandboxes being made or deleted; a repeated call finishes them"
                );
            }
        }
    });
    Ok(Running {
        address,
        drain,
        task,
    })
}

/// The providers, with connections on every worker.
fn fleet(config: &Config, workers: &Workers) -> Result<Fleet, PeerError> {
    let runtimes = Runtimes {
        own: Handle::current(),
        workers: workers.runtimes().cloned().collect(),
    };
    Fleet::new(&config.providers, &config.access, &runtimes)
}

fn auth(config: &Config) -> Result<Auth, StartError> {
    match &config.admin_key {
        Some(key) => Ok(Auth::AdminKey(Arc::new(key.clone()))),
        None if config.listen.ip().is_loopback() => {
            tracing::warn!("no key is configured: everybody on this machine is let in as dev");
            Ok(Auth::Dev)
        }
        None => Err(StartError::Open(config.listen)),
    }
}

fn with_own_services(
    routes: Routes,
    sessions: Arc<Sessions>,
    sandboxes: Sandboxes,
    fleet: Arc<Fleet>,
) -> Routes {
    let session = SessionServiceServer::new(SessionRpc::new(sessions, sandboxes.clone()));
    let sandbox = SandboxServiceServer::new(SandboxRpc::new(sandboxes, fleet.clone()));
    routes
        .add_service(session.max_decoding_message_size(limits::MESSAGE_BYTES))
        .add_service(sandbox.max_decoding_message_size(limits::MESSAGE_BYTES))
        .add_service(ProviderServiceServer::new(Providers::new(fleet)))
}

/// The whole `main` of a gateway: reads its arguments, serves until a signal.
pub async fn run() -> ExitCode {
    let args: Args = process::load(std::env::args_os()).unwrap_or_else(|error| error.exit());
    args.gateway.process.init_log();
    let grace = args.gateway.process.drain_grace();
    let running = match args.gateway.into_config(args.providers) {
        Ok(config) => start(config).await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    let running = match running {
        Ok(running) => running,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::FAILURE;
        }
    };
    println!("gateway ready on {}", running.address());
    match process::until_drained(running.drain(), grace, running.ended()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot listen for signals: {error}");
            ExitCode::FAILURE
        }
    }
}
