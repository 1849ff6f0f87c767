//! Passes calls about a sandbox to its provider as raw bytes: reads the ids of the first message,
//! authorises, routes, and gets out of the way.

mod first;
mod request;
mod response;
mod scan;

use std::{future::Future, pin::pin, task::Poll, time::Duration};

use http::{Request, Response};
use sandgate_proto::{Problem, limits, methods::Method};
use sandgate_service::{WireBody, WorkerId, timeout_of};
use tokio::time::{Instant, timeout_at};
use tonic::body::Body;
use uuid::Uuid;

use crate::{
    facts::Facts,
    fleet::{self, Lane},
    ids::{self, SandboxRef},
    principal::Principal,
    problem::{self, Result},
    sandbox::{Needs, Sandboxes, Target},
};
pub(crate) use first::First;
pub(crate) use response::{Relayed, trailers};
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
        facts: &mut Facts,
    ) -> Result<Response<Relayed>> {
        let begun = Instant::now();
        let asked = timeout_of(request.headers())?;
        let (parts, body) = request.into_parts();
        let reading = begun + asked.unwrap_or(FIRST_MESSAGE).min(FIRST_MESSAGE);
        let mut first = in_time(reading, first::read(body, !method.client_streaming)).await?;
        let call = asked_for(&first, method, facts)?;

        let needs = Needs {
            scope: method.scope,
            default_sandbox: method.makes_default_sandbox,
            running: method.scope != LOOKS,
        };
        let route = self
            .sandboxes
            .route(principal, call.session_id, &call.wanted, needs);
        let target = match asked {
            // What has to be made or started first has its own limits.
            None => route.await?,
            Some(asked) => in_time(begun + asked, route).await?,
        };
        facts.sandbox_id = target.sandbox_id().to_string();
        facts.owner = Some(target.owner());
        if method.has_payload {
            self.add_payload(&mut first, &target, method, &call.secrets)
                .await?;
        }

        if method.has_secret_env {
            self.sandboxes.admit(&target).await?;
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

impl Relay {
    /// Appends what only the gateway knows: values of secrets, a token for git.
    async fn add_payload(
        &self,
        first: &mut First,
        target: &Target,
        method: &Method,
        secrets: &[(String, String)],
    ) -> Result<()> {
        let payload = if method.has_secret_env {
            self.sandboxes.environment(target, secrets).await?
        } else {
            self.sandboxes.git(target).await?
        };
        let Some(payload) = payload else {
            return Ok(());
        };
        if payload.len() > limits::PAYLOAD_BYTES {
            return Err(Problem::invalid_field(
                "secret_env",
                "its values have more than 256 KiB together; write the large ones into files",
            )
            .with("limit_bytes", limits::PAYLOAD_BYTES));
        }
        first.append(scan::GATEWAY_PAYLOAD, &payload);
        Ok(())
    }
}

/// The first message of a call, for calls that are not relayed; all of it, if it takes one message.
pub(crate) async fn first(body: Body, one_message: bool) -> Result<First> {
    first::read(body, one_message).await
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
    /// Names in the environment, each with the session secret that it wants.
    secrets: Vec<(String, String)>,
}

fn asked_for(first: &First, method: &Method, facts: &mut Facts) -> Result<Asked> {
    let shape = Shape {
        execution_id: method.has_execution_id,
        secret_env: method.has_secret_env,
    };
    let ids = scan::scan(first.message(), shape)?;
    ids.session_id.clone_into(&mut facts.session_id);
    ids.sandbox_id.clone_into(&mut facts.sandbox_id);
    ids.execution_id.clone_into(&mut facts.execution_id);
    let owned = |(name, secret): &(&str, &str)| ((*name).to_owned(), (*secret).to_owned());
    Ok(Asked {
        session_id: ids::session_id(ids.session_id)?,
        wanted: SandboxRef::parse(ids.sandbox_id)?,
        secrets: ids.secrets.iter().map(owned).collect(),
    })
}
