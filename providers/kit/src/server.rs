//! Serves a provider: gRPC, health, reflection, token, drain.

use std::{future::Future, net::SocketAddr, process::ExitCode, sync::Arc, time::Duration};

use clap::Parser;
use sandgate_proto::{
    DESCRIPTOR_SET, ERROR_DETAILS_DESCRIPTOR_SET, limits,
    v1::{
        execution_service_server::ExecutionServiceServer, file_service_server::FileServiceServer,
        git_service_server::GitServiceServer, port_service_server::PortServiceServer,
        sandbox_service_server::SandboxServiceServer,
    },
};
use sandgate_service::{Built, Drain, Server, ServerError, Typed, process};
use thiserror::Error;
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::service::Routes;
use tonic_health::{
    ServingStatus,
    pb::health_server::{Health, HealthServer},
    server::HealthReporter,
};

use crate::{
    BUILT, KitArgs, Provider, ProviderError, auth::RequireToken, descriptors, rpc::Service,
    sweep::sweep_on,
};

/// How often the upstream is asked whether it is there.
const HEALTH_INTERVAL: Duration = Duration::from_secs(5);

/// How long an upstream that does not answer may keep an ending process alive.
const LAST_WORK: Duration = Duration::from_secs(15);

/// The largest request: a message, and what the gateway adds to it.
const MESSAGE: usize = limits::MESSAGE_BYTES + limits::PAYLOAD_BYTES;

/// The services whose health is reported beside that of the whole server.
const SERVICES: &[&str] = &[
    "sandbox.v1.SandboxService",
    "sandbox.v1.ExecutionService",
    "sandbox.v1.FileService",
    "sandbox.v1.GitService",
    "sandbox.v1.PortService",
];

/// Why a provider could not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// Its address or its TLS files cannot be used.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// It would be open to everyone on the network.
    #[error(
        "{0} is not a loopback address: set SANDGATE_PROVIDER_TOKEN on this provider and its gateways, or give --tls-ca for mutual TLS"
    )]
    Open(SocketAddr),
    /// Callers could not be told where exposed ports are.
    #[error("{0}")]
    Ports(String),
    /// Server reflection could not be set up.
    #[error("server reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The provider itself could not start.
    #[error("{0}")]
    Provider(String),
}

/// A provider that serves.
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

/// Starts to serve `provider` on the address of its arguments, or on `default`.
///
/// # Errors
/// Where the address cannot be bound, or would be open to strangers.
pub async fn start<P: Provider>(
    provider: P,
    args: &KitArgs,
    default: SocketAddr,
) -> Result<Running, StartError> {
    let address = args.listen.unwrap_or(default);
    if !address.ip().is_loopback() && args.provider_token.is_none() && args.tls_ca.is_none() {
        return Err(StartError::Open(address));
    }
    args.ports.check().map_err(StartError::Ports)?;
    let server = Server::bind(address, &args.tls()).await?.trusting_peers();
    let address = server.address();
    let provider = Arc::new(provider);
    let (tasks, shutdown, drain) = (TaskTracker::new(), CancellationToken::new(), Drain::new());

    let (reporter, health) = tonic_health::server::health_reporter();
    let service = Service::new(
        provider.clone(),
        args.ports.clone(),
        tasks.clone(),
        shutdown.clone(),
    );
    let routes = routes(Arc::new(service), health)?;
    let service = Typed(RequireToken::new(
        Built::new(routes, BUILT),
        args.provider_token.clone(),
    ));

    // Until the upstream has been asked; without this the library says that it serves.
    report(&reporter, false).await;
    tasks.spawn(watch_health(provider.clone(), reporter, drain.clone()));
    tasks.spawn(sweep_on(provider.clone(), drain.clone()));
    let task = tokio::spawn({
        let drain = drain.clone();
        async move {
            server.serve(move |_| service.clone(), drain).await;
            shutdown.cancel();
            tasks.close();
            if timeout(LAST_WORK, tasks.wait()).await.is_err() {
                tracing::warn!("ended before the upstream did; a repeated call finishes its work");
            }
            provider.close().await;
        }
    });
    Ok(Running {
        address,
        drain,
        task,
    })
}

/// Everything that is served.
fn routes<P: Provider>(
    service: Arc<Service<P>>,
    health: HealthServer<impl Health>,
) -> Result<Routes, StartError> {
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(ERROR_DETAILS_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let sandboxes = SandboxServiceServer::from_arc(service.clone());
    let executions = ExecutionServiceServer::from_arc(service.clone());
    let files = FileServiceServer::from_arc(service.clone());
    let git = GitServiceServer::from_arc(service.clone());
    let ports = PortServiceServer::from_arc(service);
    let routes = Routes::new(sandboxes.max_decoding_message_size(MESSAGE))
        .add_service(executions.max_decoding_message_size(MESSAGE))
        .add_service(files.max_decoding_message_size(MESSAGE))
        .add_service(git.max_decoding_message_size(MESSAGE))
        .add_service(ports)
        .add_service(health)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?);
    Ok(routes.prepare())
}

/// Keeps the health service telling whether the upstream can be reached.
async fn watch_health<P: Provider>(provider: Arc<P>, reporter: HealthReporter, drain: Drain) {
    let mut well = None;
    while !drain.is_started() {
        let now = match timeout(HEALTH_INTERVAL, provider.health()).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                if well != Some(false) {
                    tracing::warn!(provider = provider.id(), %error, "upstream cannot be reached");
                }
                false
            }
            Err(_) => false,
        };
        if well.replace(now) != Some(now) {
            report(&reporter, now).await;
        }
        tokio::select! {
            () = tokio::time::sleep(HEALTH_INTERVAL) => {}
            () = drain.started() => {}
        }
    }
    report(&reporter, false).await;
}

async fn report(reporter: &HealthReporter, well: bool) {
    let status = if well {
        ServingStatus::Serving
    } else {
        ServingStatus::NotServing
    };
    reporter.set_service_status("", status).await;
    for service in SERVICES {
        reporter.set_service_status(*service, status).await;
    }
}

/// The whole `main` of a provider: reads its arguments, builds it, serves until a signal.
///
/// `build` gets the parsed arguments; `kit` tells where in them the kit's own are.
pub async fn run<A, P, F>(
    default: SocketAddr,
    kit: impl Fn(&A) -> &KitArgs,
    build: impl FnOnce(&A) -> F,
) -> ExitCode
where
    A: Parser,
    P: Provider,
    F: Future<Output = Result<P, ProviderError>>,
{
    #[cfg(feature = "failpoints")]
    let _scenario = fail::FailScenario::setup();
    let args: A = process::load(std::env::args_os()).unwrap_or_else(|error| error.exit());
    let kit = kit(&args);
    kit.process.init_log();
    descriptors::raise();
    let started = async {
        let provider = build(&args)
            .await
            .map_err(|error| StartError::Provider(error.to_string()))?;
        let id = provider.id();
        let running = start(provider, kit, default).await?;
        println!("provider {id} ready on {}", running.address());
        Ok::<_, StartError>(running)
    };
    let running = match started.await {
        Ok(running) => running,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let Running { drain, task, .. } = running;
    let served = async { drop(task.await) };
    match process::until_drained(drain, kit.process.drain_grace(), served).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot listen for signals: {error}");
            ExitCode::FAILURE
        }
    }
}
