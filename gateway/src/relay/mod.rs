//! Passes calls about a sandbox to its provider as raw bytes: reads the ids of the first message,
//! authorises, routes, and gets out of the way.

mod first;
mod request;
mod response;
mod scan;

use std::{future::Future, time::Duration};

use http::{Request, Response};
use sandgate_proto::{Problem, methods::Method};
use sandgate_service::{PeerInfo, WireBody, problem_response, timeout_of};
use tokio::time::{Instant, sleep_until, timeout_at};
use tonic::body::Body;
use uuid::Uuid;

use crate::{
    fleet::{self, Lane},
    ids::{self, SandboxRef},
    principal::Principal,
    problem::{self, Result},
    sandbox::{Needs, Sandboxes},
};
use scan::Shape;

/// How long a caller may take to send its first message.
const FIRST_MESSAGE: Duration = Duration::from_secs(30);
/// Calls that only look at what ran. They do not start a stopped sandbox.
const LOOKS: &str = "executions.read";

/// The relay. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Relay {
    sandboxes: Sandboxes,
}

/// When a call has to be over, and when its answer has to have begun.
#[derive(Clone, Copy)]
struct Deadlines {
    /// The caller's own; holds for the whole call.
    end: Option<Instant>,
    /// Until the answer's headers.
    headers: Option<Instant>,
}

impl Relay {
    pub(crate) fn new(sandboxes: Sandboxes) -> Self {
        Self { sandboxes }
    }

    /// Serves one call.
    pub(crate) async fn call(
        &self,
        principal: &Principal,
        method: &Method,
        request: Request<Body>,
    ) -> Response<Body> {
        self.pass(principal, method, request)
            .await
            .unwrap_or_else(problem_response)
    }

    async fn pass(
        &self,
        principal: &Principal,
        method: &Method,
        request: Request<Body>,
    ) -> Result<Response<Body>> {
        let begun = Instant::now();
        let asked = timeout_of(request.headers())?;
        let worker = request.extensions().get::<PeerInfo>();
        let worker = worker.map_or(0, |peer| peer.worker);
        let (parts, body) = request.into_parts();
        let reading = begun + asked.unwrap_or(FIRST_MESSAGE).min(FIRST_MESSAGE);
        let first = in_time(reading, first::read(body, !method.client_streaming)).await?;
        let Asked {
            session_id,
            wanted,
            secret,
        } = asked_for(&first, method)?;

        let needs = Needs {
            default_sandbox: method.makes_default_sandbox,
            running: method.scope != LOOKS,
        };
        let route = self.sandboxes.route(principal, session_id, &wanted, needs);
        let target = match asked {
            // What has to be made or started first has its own limits.
            None => route.await?,
            Some(asked) => in_time(begun + asked, route).await?,
        };
        if let Some(name) = secret {
            return Err(problem::secret_not_found(&name));
        }

        let lane = self.sandboxes.lane_to(&target, worker)?;
        let deadlines = Deadlines::of(method, begun, asked);
        let left = deadlines.left(method);
        let upstream = request::upstream(&parts.uri, &parts.headers, first, &target, &lane, left)?;
        let answer = send(&lane, upstream);
        let response = match deadlines.headers {
            None => answer.await?,
            // The channel keeps the same deadline, and may say first that it is over.
            Some(at) => match timeout_at(at, answer).await {
                Ok(Ok(response)) => response,
                Ok(Err(problem)) if Instant::now() < at => return Err(problem),
                _ => return Err(late(&lane.provider, asked)),
            },
        };
        Ok(response::downstream(
            lane.provider,
            response,
            deadlines.end.map(sleep_until),
        ))
    }
}

/// The body of a call of one message, complete and checked, for calls that are not relayed.
pub(crate) async fn one_message(body: Body) -> Result<Body> {
    Ok(request::body(first::read(body, true).await?))
}

impl Deadlines {
    /// Making or starting a sandbox ahead of the call does not count against a default.
    fn of(method: &Method, begun: Instant, asked: Option<Duration>) -> Self {
        let end = asked.map(|asked| begun + asked);
        let default = method
            .default_deadline()
            .map(|default| Instant::now() + default);
        match (end, default, method.server_streaming) {
            (Some(end), Some(default), true) => Self {
                end: Some(end),
                headers: Some(end.min(default)),
            },
            (Some(end), _, _) => Self {
                end: Some(end),
                headers: Some(end),
            },
            (None, default, true) => Self {
                end: None,
                headers: default,
            },
            (None, default, false) => Self {
                end: default,
                headers: default,
            },
        }
    }

    /// What the provider is told.
    fn left(&self, method: &Method) -> Option<Duration> {
        let end = if method.server_streaming {
            self.end
        } else {
            self.headers
        };
        end.map(|end| end.saturating_duration_since(Instant::now()))
    }
}

async fn in_time<T>(until: Instant, work: impl Future<Output = Result<T>>) -> Result<T> {
    timeout_at(until, work)
        .await
        .unwrap_or_else(|_| Err(problem::deadline_exceeded()))
}

async fn send(lane: &Lane, request: Request<Body>) -> Result<Response<WireBody>> {
    let answer = lane.wire.send(request).await;
    answer.map_err(|error| fleet::failure(&lane.provider, &error))
}

/// Whose time ran out: the caller's, or our patience with a provider that says nothing.
fn late(provider: &str, asked: Option<Duration>) -> Problem {
    match asked {
        Some(_) => problem::deadline_exceeded(),
        None => problem::provider_unavailable(provider, sandgate_proto::Outcome::Ambiguous),
    }
}

/// What the first message says to the gateway.
struct Asked {
    session_id: Uuid,
    wanted: SandboxRef,
    /// A session secret that the call needs.
    secret: Option<String>,
}

fn asked_for(first: &first::First, method: &Method) -> Result<Asked> {
    let shape = Shape {
        execution_id: method.has_execution_id,
        secret_env: method.has_secret_env,
    };
    let ids = scan::scan(first.message(), shape)?;
    Ok(Asked {
        session_id: ids::session_id(ids.session_id)?,
        wanted: SandboxRef::parse(ids.sandbox_id)?,
        secret: ids.secrets.first().map(|name| (*name).to_owned()),
    })
}
