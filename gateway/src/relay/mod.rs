//! Passes calls about a sandbox to its provider as raw bytes: reads the ids of the first message,
//! authorises, routes, and gets out of the way.

mod first;
mod kept;
mod looks;
mod request;
mod response;
mod scan;
mod time;

use std::{sync::Arc, time::Duration};

use http::{Request, Response, request::Parts};
use sandgate_proto::{Problem, Reason, limits, methods::Method};
use sandgate_service::{WireBody, WorkerId, timeout_of};
use tokio::time::{Instant, timeout_at};
use tonic::body::Body;
use uuid::Uuid;

use crate::{
    facts::Facts,
    fleet::{self, Lane},
    ids::{self, SandboxRef},
    kept::Kept,
    principal::Principal,
    problem::Result,
    sandbox::{Needs, Sandboxes, Target},
    session::Sessions,
};
pub(crate) use first::First;
pub(crate) use kept::{Reply, answered};
use looks::{at_rest, looks, uses};
pub(crate) use response::{Relayed, trailers};
use scan::Shape;
use time::{Deadlines, in_time, late};

/// How long a caller may take to send its first message.
pub(crate) const FIRST_MESSAGE: Duration = Duration::from_secs(30);

/// The relay. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Relay {
    sandboxes: Sandboxes,
    sessions: Arc<Sessions>,
    kept: Arc<Kept>,
}

/// A call while it is passed on.
struct Passing<'a> {
    principal: &'a Principal,
    method: &'a Method,
    worker: WorkerId,
    parts: Parts,
    wanted: Asked,
    begun: Instant,
    /// The caller's own deadline, from then on.
    asked: Option<Duration>,
}

impl Passing<'_> {
    /// What is in use for as long as bytes of this call flow.
    fn in_use(&self, target: &Arc<Target>) -> Option<Arc<Target>> {
        let streams = self.method.client_streaming || self.method.server_streaming;
        (streams && uses(self.method)).then(|| target.clone())
    }
}

impl Relay {
    pub(crate) fn new(sandboxes: Sandboxes, sessions: Arc<Sessions>, kept: Arc<Kept>) -> Self {
        Self {
            sandboxes,
            sessions,
            kept,
        }
    }

    /// Serves one call, on the thread of one worker.
    pub(crate) async fn call(
        &self,
        principal: &Principal,
        method: &Method,
        worker: WorkerId,
        request: Request<Body>,
        facts: &mut Facts,
    ) -> Result<Response<Reply>> {
        let begun = Instant::now();
        let asked = timeout_of(request.headers())?;
        let (parts, body) = request.into_parts();
        let reading = begun + asked.unwrap_or(FIRST_MESSAGE).min(FIRST_MESSAGE);
        let mut first = in_time(reading, first::read(body, !method.client_streaming)).await?;
        let call = Passing {
            wanted: asked_for(&first, method, facts)?,
            principal,
            method,
            worker,
            parts,
            begun,
            asked,
        };
        let target = match self.route_of(&call, facts).await {
            Ok(target) => target,
            Err(problem) => {
                let (wanted, message) = (&call.wanted, first.message());
                let instead = self.instead(principal, method, wanted, message, facts, problem);
                return Box::pin(instead).await;
            }
        };
        facts.sandbox_id = target.sandbox_id().to_string();
        facts.owner = Some(target.owner());
        if target.was_restarted() {
            let again = self.repeated(method, &call.wanted, &target, first.message());
            if let Some(reply) = Box::pin(again).await? {
                return Ok(reply);
            }
        }
        if method.has_payload {
            self.add_payload(&mut first, &target, method, &call.wanted.secrets)
                .await?;
        }
        if method.has_secret_env {
            self.sandboxes.admit(&target).await?;
        }
        let spare = first.copy();
        let (provider, response, end) = self.pass_on(&call, first, &target).await?;
        if let Some(reason) = response::refusal(&response)
            && let Some(spare) = spare
            && let Some(reply) = Box::pin(self.refused(&call, spare, &target, reason)).await?
        {
            return Ok(reply);
        }
        let response = response::downstream(provider, response, end, call.in_use(&target))?;
        Ok(response.map(Reply::Left))
    }

    /// The way to the call's sandbox. Where its caller has named the execution, which may be a repeat, in
    /// the life that the sandbox is in now.
    async fn route_of(&self, call: &Passing<'_>, facts: &Facts) -> Result<Arc<Target>> {
        let target = self.route(call).await?;
        if !call.method.has_secret_env || facts.execution_id.is_empty() {
            return Ok(target);
        }
        if self.sandboxes.is_same_life(&target).await? {
            return Ok(target);
        }
        self.route(call).await
    }

    async fn route(&self, call: &Passing<'_>) -> Result<Arc<Target>> {
        let needs = Needs {
            scope: call.method.scope,
            default_sandbox: call.method.makes_default_sandbox,
            at_rest: at_rest(call.method),
            uses: uses(call.method),
        };
        let (session_id, wanted) = (call.wanted.session_id, &call.wanted.wanted);
        let route = self
            .sandboxes
            .route(call.principal, session_id, wanted, needs);
        match call.asked {
            // What has to be made or started first has its own limits.
            None => route.await,
            Some(asked) => in_time(call.begun + asked, route).await,
        }
    }

    /// Sends the call to its provider; the answer, whose it is, and when it has to be over.
    async fn pass_on(
        &self,
        call: &Passing<'_>,
        first: First,
        target: &Arc<Target>,
    ) -> Result<(Arc<str>, Response<WireBody>, Option<Instant>)> {
        let (method, asked) = (call.method, call.asked);
        let lane = self.sandboxes.lane_to(target, call.worker)?;
        let deadlines = Deadlines::of(method, call.begun, asked);
        let left = match asked {
            Some(_) => deadlines.end.map(|end| end - Instant::now()),
            // Always the same, so that the header costs nothing: it is compressed to one byte.
            None if method.server_streaming => None,
            None => method.default_deadline(),
        };
        let (path, headers) = (&call.parts.uri, &call.parts.headers);
        let body = request::body(first, call.in_use(target));
        let upstream = request::upstream(path, headers, body, target, &lane, left)?;
        let answer = send(&lane, upstream);
        let response = match deadlines.headers {
            None => answer.await?,
            Some(at) => timeout_at(at, answer)
                .await
                .unwrap_or_else(|_| Err(late(&lane.provider, asked)))?,
        };
        Ok((lane.provider, response, deadlines.end))
    }

    /// What else can be done for a call that its provider refused before it did anything: a look is
    /// answered from what is kept; and where the sandbox was stopped without this gateway's
    /// knowing, it is started, if it may be, and the call passed on once more.
    async fn refused(
        &self,
        call: &Passing<'_>,
        first: First,
        target: &Target,
        reason: Reason,
    ) -> Result<Option<Response<Reply>>> {
        if looks(call.method) {
            if !kept::is_gone(reason) {
                return Ok(None);
            }
            let (session_id, message) = (call.wanted.session_id, first.message());
            return self
                .kept_answer(call.method, session_id, target.sandbox_id(), message)
                .await;
        }
        if reason != Reason::SandboxNotRunning || !self.sandboxes.has_stopped(target).await? {
            return Ok(None);
        }
        let target = self.route(call).await?;
        let (provider, response, end) = self.pass_on(call, first, &target).await?;
        let response = response::downstream(provider, response, end, call.in_use(&target))?;
        Ok(Some(response.map(Reply::Left)))
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

async fn send(lane: &Lane, request: Request<Body>) -> Result<Response<WireBody>> {
    let answer = lane.wire.send(request).await;
    answer.map_err(|error| fleet::failure(&lane.provider, &error))
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
