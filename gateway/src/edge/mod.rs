//! The outermost layer: what holds for every call before it is known what the call does.

mod answer;
mod gate;
mod own;
mod rate;
mod record;

use std::{
    convert::Infallible,
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures::FutureExt as _;
use http::{HeaderMap, HeaderValue, Request, Response, header::CONTENT_TYPE};
use sandgate_proto::{
    CONTEXT_METADATA, Problem, STATE_METADATA, limits,
    methods::{self, Handling, Method},
};
use sandgate_service::{PeerInfo, problem_response};
use tonic::body::Body;
use tower::Service;

use answer::Answer;
use gate::Gate;
use own::Own;
use rate::Rate;
use record::{Origin, Recorded};

use crate::{
    agent::Agents,
    audit::Log,
    config::LimitArgs,
    facts::Facts,
    identity::Authenticator,
    kept::Kept,
    principal::Principal,
    problem::{self, Result},
    relay::Relay,
    replay::Replays,
    sandbox::Sandboxes,
    session::Sessions,
};

/// Health checks and reflection tell nobody's secrets and ask for no key.
const OPEN: [&str; 2] = ["/grpc.health.v1.Health/", "/grpc.reflection."];

/// Checks every call, then hands it to the relay or to the services of the gateway's own.
pub(crate) struct Edge<S> {
    inside: Arc<Inside<S>>,
    peer: Arc<PeerInfo>,
}

struct Inside<S> {
    identity: Arc<Authenticator>,
    log: Log,
    rate: Rate,
    relay: Relay,
    own: Own<S>,
}

/// What calls are checked against and passed to.
pub(crate) struct Parts {
    pub(crate) identity: Arc<Authenticator>,
    pub(crate) log: Log,
    pub(crate) limits: LimitArgs,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) agents: Arc<Agents>,
    pub(crate) sandboxes: Sandboxes,
    pub(crate) replays: Arc<Replays>,
    pub(crate) kept: Arc<Kept>,
}

/// Whether the services inside can be cloned does not matter.
impl<S> Clone for Edge<S> {
    fn clone(&self) -> Self {
        Self {
            inside: self.inside.clone(),
            peer: self.peer.clone(),
        }
    }
}

/// Makes the edge of each connection.
pub(crate) struct Edges<S>(Arc<Inside<S>>);

impl<S> Clone for Edges<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S> Edges<S> {
    /// Before `services`, the gateway's own.
    pub(crate) fn new(parts: Parts, services: S) -> Self {
        let own = Own {
            services,
            gate: Gate::new(
                parts.sessions.clone(),
                parts.agents,
                parts.sandboxes.clone(),
            ),
            replays: parts.replays,
        };
        Self(Arc::new(Inside {
            identity: parts.identity,
            log: parts.log,
            rate: Rate::new(&parts.limits),
            relay: Relay::new(parts.sandboxes, parts.sessions, parts.kept),
            own,
        }))
    }

    /// For the connection of this peer.
    pub(crate) fn to(&self, peer: &PeerInfo) -> Edge<S> {
        Edge {
            inside: self.0.clone(),
            peer: Arc::new(peer.clone()),
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
        peer: &PeerInfo,
        mut request: Request<Body>,
    ) -> Result<Response<Answer>> {
        check_size(request.headers())?;
        check_content_type(request.headers())?;
        // Only the gateway speaks of these; a caller's copies are dropped.
        request.headers_mut().remove(CONTEXT_METADATA);
        request.headers_mut().remove(STATE_METADATA);
        let path = request.uri().path();
        if OPEN.iter().any(|open| path.starts_with(open)) {
            return Ok(self.own.serve(request).await.map(Answer::from));
        }
        let from = Origin::of(peer.address.ip(), request.headers());
        let Some(method) = methods::find(path) else {
            self.identity.caller(request.headers(), peer).await?;
            return Ok(self.own.serve(request).await.map(Answer::from));
        };
        let caller = match self.identity.caller(request.headers(), peer).await {
            Ok(caller) => caller,
            Err(problem) => {
                record::refused(&self.log, &from, method, &problem);
                return Err(problem);
            }
        };
        let mut recorded = Recorded::new(&self.log, &caller, from, method);
        let answer = self
            .pass(
                &caller.principal,
                method,
                peer,
                request,
                &mut recorded.facts,
            )
            .await;
        recorded.end(record::outcome(&answer)).await;
        Ok(answer?.map(|body| body.read_by(caller.clone())))
    }

    /// To where the call is answered.
    async fn pass(
        &self,
        principal: &Principal,
        method: &'static Method,
        peer: &PeerInfo,
        request: Request<Body>,
        facts: &mut Facts,
    ) -> Result<Response<Answer>> {
        self.rate.count(principal)?;
        if method.handling == Handling::Relayed {
            let answer = self
                .relay
                .call(principal, method, peer.worker, request, facts);
            return Ok(answer.await?.map(Answer::from));
        }
        let answer = self.own.call(principal, method, request, facts);
        // Boxed, so that a relayed call's future need not hold it.
        Ok(Box::pin(answer).await?.map(Answer::from))
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
        let (inside, peer) = (self.inside.clone(), self.peer.clone());
        Box::pin(async move {
            Ok(
                match AssertUnwindSafe(inside.answer(&peer, request))
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
