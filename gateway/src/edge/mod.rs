//! The outermost layer: what holds for every call before it is known what the call does.

mod answer;
mod auth;

use std::{
    convert::Infallible,
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures::FutureExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header::CONTENT_TYPE};
use sandgate_proto::{
    CONTEXT_METADATA, Problem, STATE_METADATA, limits,
    methods::{self, Handling, Method},
};
use sandgate_service::{GRPC_TIMEOUT, WorkerId, problem_response, timeout_of};
use tokio::time::timeout;
use tonic::body::Body;
use tower::Service;

pub(crate) use auth::Auth;

use answer::Answer;

use crate::{
    problem,
    problem::Result,
    relay::{self, Relay},
};

/// Health checks and reflection tell nobody's secrets and ask for no key.
const OPEN: [&str; 2] = ["/grpc.health.v1.Health/", "/grpc.reflection."];
/// Says how a message is compressed, if it is.
const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");

/// Checks every call, then hands it to the relay or to the services of the gateway's own.
pub(crate) struct Edge<S> {
    inside: Arc<Inside<S>>,
    worker: WorkerId,
}

struct Inside<S> {
    auth: Auth,
    relay: Relay,
    owned: S,
}

/// Whether the services inside can be cloned does not matter.
impl<S> Clone for Edge<S> {
    fn clone(&self) -> Self {
        self.on(self.worker)
    }
}

impl<S> Edge<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send,
{
    pub(crate) fn new(auth: Auth, relay: Relay, owned: S) -> Self {
        Self {
            inside: Arc::new(Inside { auth, relay, owned }),
            worker: WorkerId::default(),
        }
    }
}

impl<S> Edge<S> {
    /// The same for the connections of one worker.
    pub(crate) fn on(&self, worker: WorkerId) -> Self {
        Self {
            inside: self.inside.clone(),
            worker,
        }
    }
}

impl<S> Inside<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send,
{
    async fn answer(
        &self,
        worker: WorkerId,
        mut request: Request<Body>,
    ) -> Result<Response<Answer>> {
        check_size(request.headers())?;
        check_content_type(request.headers())?;
        // Only the gateway speaks of these; a caller's copies are dropped.
        request.headers_mut().remove(CONTEXT_METADATA);
        request.headers_mut().remove(STATE_METADATA);
        let path = request.uri().path();
        if OPEN.iter().any(|open| path.starts_with(open)) {
            return Ok(self.serve(request).await.map(Answer::from));
        }
        let principal = self.auth.principal(request.headers())?;
        match methods::find(path) {
            Some(method) if method.handling == Handling::Relayed => {
                let answer = self.relay.call(&principal, method, worker, request);
                Ok(answer.await?.map(Answer::from))
            }
            Some(method) => {
                request.extensions_mut().insert(principal);
                // Boxed, so that a relayed call's future need not hold it.
                let answer = Box::pin(self.own(method, request)).await?;
                Ok(answer.map(Answer::from))
            }
            None => Ok(self.serve(request).await.map(Answer::from)),
        }
    }

    async fn serve(&self, request: Request<Body>) -> Response<Body> {
        unfailing(Box::pin(self.owned.clone().call(request)).await)
    }

    async fn own(&self, method: &Method, mut request: Request<Body>) -> Result<Response<Body>> {
        let asked = timeout_of(request.headers())?;
        request.headers_mut().remove(GRPC_TIMEOUT);
        let answer = async {
            if !method.client_streaming {
                let (mut parts, body) = request.into_parts();
                // Only of messages that are flagged as compressed, which are refused here.
                parts.headers.remove(GRPC_ENCODING);
                request = Request::from_parts(parts, relay::one_message(body).await?);
            }
            Ok(self.serve(request).await)
        };
        match asked.or(method.default_deadline()) {
            None => answer.await,
            Some(patience) => timeout(patience, answer)
                .await
                .unwrap_or_else(|_| Err(problem::deadline_exceeded())),
        }
    }
}

impl<S> Service<Request<Body>> for Edge<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send,
{
    type Response = Response<Answer>;
    type Error = Infallible;
    type Future =
        Pin<Box<dyn Future<Output = std::result::Result<Response<Answer>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<std::result::Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (inside, worker) = (self.inside.clone(), self.worker);
        Box::pin(async move {
            Ok(
                match AssertUnwindSafe(inside.answer(worker, request))
                    .catch_unwind()
                    .await
                {
                    Ok(Ok(response)) => response,
                    Ok(Err(problem)) => problem_response(problem).map(Answer::from),
                    // One call's bug must not take the connection, and all calls on it, down.
                    Err(_) => {
                        let problem = problem::internal("call", &"panicked");
                        problem_response(problem).map(Answer::from)
                    }
                },
            )
        })
    }
}

fn unfailing<T>(result: std::result::Result<T, Infallible>) -> T {
    match result {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

/// `application/grpc`, alone or with a `+format` or a parameter.
fn check_content_type(headers: &HeaderMap) -> Result<()> {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    match kind.and_then(|kind| kind.strip_prefix(b"application/grpc")) {
        Some([] | [b'+' | b';', ..]) => Ok(()),
        _ => Err(Problem::invalid_field(
            "content-type",
            "must be application/grpc; use a gRPC client, such as grpcurl",
        )),
    }
}

/// As HTTP/2 counts them: name, value and 32 bytes each.
fn check_size(headers: &HeaderMap) -> Result<()> {
    let size: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 32)
        .sum();
    if size <= limits::HEADER_BYTES {
        return Ok(());
    }
    Err(
        Problem::invalid_field("metadata", format!("has {size} bytes; send at most 16 KiB"))
            .with("limit_bytes", limits::HEADER_BYTES),
    )
}
