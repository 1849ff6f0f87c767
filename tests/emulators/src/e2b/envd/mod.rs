//! envd, E2B's daemon in each sandbox: files by HTTP, and two services of the Connect protocol.

mod entry;
mod files;
mod filesystem;
mod gate;
mod paths;
mod process;
mod system;
mod users;
mod watch;

use std::{
    collections::BTreeMap,
    io,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{StatusCode, header},
    middleware,
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use connectrpc::{ConnectRpcService, Limits};
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tower::ServiceExt as _;

use self::{filesystem::Files, process::Processes};
use crate::locks::lock;

/// What it was told of its sandbox.
#[derive(Debug, Default)]
pub(crate) struct Told {
    token: Option<String>,
    env: BTreeMap<String, String>,
}

/// The daemon's state.
#[derive(Debug, Default)]
pub(crate) struct Envd(Mutex<Told>);

impl Envd {
    fn token(&self) -> Option<String> {
        lock(&self.0).token.clone()
    }

    fn env(&self) -> BTreeMap<String, String> {
        lock(&self.0).env.clone()
    }

    fn tell(&self, told: Told) {
        *lock(&self.0) = told;
    }
}

/// Serves at a socket, for as long as the sandbox runs.
///
/// # Errors
/// Where it cannot listen.
pub(crate) async fn serve(socket: &Path) -> io::Result<()> {
    // Where whoever started us has them ignored, so would all that we start. What is caught is not.
    let usual = [
        SignalKind::interrupt(),
        SignalKind::quit(),
        SignalKind::hangup(),
    ];
    let _usual = usual.map(signal);
    let listener = UnixListener::bind(socket)?;
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o600))?;
    crate::http::serve_socket(listener, router()).await
}

fn router() -> Router {
    let envd = Arc::new(Envd::default());
    let services = connectrpc::Router::new()
        .add_service(Arc::new(Processes::new(Arc::clone(&envd))))
        .add_service(Arc::new(Files::default()));
    let services = ConnectRpcService::new(services).with_limits(Limits::unlimited());
    let rpc = move |request: Request| {
        let services = services.clone();
        async move { rpc(services, request).await }
    };
    Router::new()
        .route("/health", get(system::health))
        .route("/metrics", get(system::metrics))
        .route("/envs", get(system::envs))
        .route("/init", post(system::init))
        .merge(files::router(Arc::clone(&envd)))
        .fallback(rpc)
        .layer(middleware::from_fn_with_state(
            Arc::clone(&envd),
            gate::check,
        ))
        .with_state(envd)
}

/// Calls with streams have content types of their own.
const STREAMS: [&str; 4] = [
    "/process.Process/Start",
    "/process.Process/Connect",
    "/process.Process/StreamInput",
    "/filesystem.Filesystem/WatchDir",
];

/// Whether a body is of the kind that a call takes.
fn fits(request: &Request) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let framed = kind.starts_with("application/connect+");
    kind.starts_with("application/grpc") || framed == STREAMS.contains(&request.uri().path())
}

async fn rpc(services: ConnectRpcService, request: Request) -> Response {
    if !fits(&request) {
        return StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response();
    }
    match services.oneshot(request).await {
        Ok(answer) => answer.map(Body::new),
        Err(never) => match never {},
    }
}
