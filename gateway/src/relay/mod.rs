//! Passes calls about a sandbox to its provider as raw bytes: reads the ids of the first message,
//! authorises, routes, and gets out of the way.

mod first;
mod request;
mod response;
mod scan;

use std::{future::Future, pin::pin, task::Poll, time::Duration};

use http::{Request, Response};
use sandgate_proto::{Problem, methods::Method};
use sandgate_service::{WireBody, WorkerId, timeout_of};
use tokio::time::{Instant, timeout_at};
use tonic::body::Body;
use uuid::Uuid;

use crate::{
    fleet::{self, Lane},
    ids::{self, SandboxRef},
    principal::Principal,
    problem::{self, Result},
    sandbox::{Needs, Sandboxes},
};
pub(crate) use response::Relayed;
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

    /// Serves one call, on the thread of one worker.
    pub(crate) async fn call(
        &self,
        principal: &Principal,
        method: &Method,
        worker: WorkerId,
        request: Request<Body>,
    ) -> Result<Response<Relayed>> {
        let begun = Instant::now();
        let asked = timeout_of(request.headers())?;
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
        let left = match asked {
            Some(_) => deadlines.end.map(|end| end - Instant::now()),
            // Always the same, so that the header costs nothing: it is compressed to one byte.
            None if method.server_streaming => None,
            None => method.default_deadline(),
        };
        let upstream = request::upstream(&parts.uri, &parts.headers, first, &target, &lane, left)?;
        let answer = send(&lane, upstream);
        let response = match deadlines.headers {
            None => answer.await?,
            Some(at) => timeout_at(at, answer)
                .await
                .unwrap_or_else(|_| Err(late(&lane.provider, asked)))?,
        };
        response::downstream(lane.provider, response, deadlines.end)
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
}

async fn in_time<T>(until: Instant, work: impl Future<Output = Result<T>>) -> Result<T> {
    let mut work = pin!(work);
    // Mostly done at once: a timer would cost more than the work.
    if let Poll::Ready(done) = futures::poll!(work.as_mut()) {
        return done;
    }
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
