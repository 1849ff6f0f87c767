//! Builds a gateway from its configuration, serves, drains.

mod error;
mod rooms;
mod services;
mod upkeep;

use std::{net::SocketAddr, process::ExitCode, time::Duration};

use sandgate_service::{Built, Drain, Server, Typed, Workers, process};
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::task::TaskTracker;
use tonic::service::Routes;

pub use error::StartError;

use crate::{
    Args, BUILT, Config, audit,
    edge::{self, Edges},
    ops,
};
use rooms::Rooms;

/// How long creates and deletes under way may keep an ending process alive.
const LAST_WORK: Duration = Duration::from_secs(30);

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
    let workers = Workers::start(config.workers).map_err(StartError::Workers)?;
    let (drain, tasks) = (Drain::new(), TaskTracker::new());
    let (rooms, writer) = Rooms::new(&config, &workers, &tasks, &drain).await?;
    let server = Server::bind(config.listen, &config.tls).await?.on(workers);
    let address = server.address();

    let (reporter, health) = tonic_health::server::health_reporter();
    let routes = services::with_own(Routes::new(health), &rooms);
    let services = Typed(Built::new(ops::with_reflection(routes)?.prepare(), BUILT));
    rooms.watch(&config, &tasks, &drain);
    // The store has just answered. Without this, probes would be told that no such service exists.
    ops::report(&reporter, true).await;
    tasks.spawn(ops::watch_health(
        reporter,
        rooms.ground.store.clone(),
        drain.clone(),
    ));
    let edges = Edges::new(
        edge::Parts {
            identity: rooms.identity,
            log: rooms.log,
            limits: config.limits,
            sessions: rooms.owned.sessions,
            agents: rooms.owned.agents,
            sandboxes: rooms.sandboxes,
            replays: rooms.replays,
            kept: rooms.owned.kept,
        },
        services,
    );
    let task = tokio::spawn({
        let drain = drain.clone();
        async move {
            server.serve(move |peer| edges.to(peer), drain).await;
            finish(tasks, writer).await;
        }
    });
    Ok(Running {
        address,
        drain,
        task,
    })
}

/// Waits for the work that outlives its calls, and for the audit log.
async fn finish(tasks: TaskTracker, writer: audit::Writer) {
    tasks.close();
    if timeout(LAST_WORK, tasks.wait()).await.is_err() {
        tracing::warn!("ended with sandboxes being made or deleted; a repeated call finishes them");
    }
    // Last, since what went on until now may have left something to write.
    writer.finish().await;
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
