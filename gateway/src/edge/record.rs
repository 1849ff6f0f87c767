//! What of a call goes into the audit log: every act, and every look that was refused.

use std::{net::IpAddr, time::Duration};

use http::{HeaderMap, HeaderValue, Response};
use sandgate_proto::{
    Code, Problem, Reason,
    methods::{Handling, Method},
};
use tokio::time::{Instant, timeout};
use tonic::Status;

use super::answer::Answer;
use crate::{
    audit::{Event, Log},
    facts::Facts,
    identity::{self, Caller},
    problem::Result,
};

/// How long an answer waits until the log has its event.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes that the log keeps of a text that a caller chose.
const TEXT_BYTES: usize = 1024;
/// Says which trace a call belongs to: version, trace, span and flags, with hyphens between.
const TRACEPARENT: &str = "traceparent";

/// One call, until what became of it is in the log. A call that its caller gives up is there too.
pub(super) struct Recorded<'a> {
    log: &'a Log,
    caller: &'a Caller,
    from: Origin,
    method: &'static Method,
    pub(super) facts: Facts,
    done: bool,
}

/// Where and when a call came from.
pub(super) struct Origin {
    peer: IpAddr,
    trace: Option<HeaderValue>,
    begun: Instant,
}

impl Origin {
    pub(super) fn of(peer: IpAddr, headers: &HeaderMap) -> Self {
        Self {
            peer: peer.to_canonical(),
            trace: headers.get(TRACEPARENT).cloned(),
            begun: Instant::now(),
        }
    }

    fn trace_id(&self) -> &str {
        let trace = self.trace.as_ref().and_then(|value| value.to_str().ok());
        let id = trace.and_then(|trace| trace.split('-').nth(1));
        id.filter(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .unwrap_or_default()
    }

    fn on(&self, event: Event) -> Event {
        event
            .peer(self.peer)
            .trace(self.trace_id())
            .took(self.begun.elapsed())
    }
}

/// Notes that somebody was not let in.
pub(super) fn refused(log: &Log, from: &Origin, method: &'static Method, problem: &Problem) {
    log.try_note(from.on(Event::stranger(method).failed(problem)));
}

impl<'a> Recorded<'a> {
    pub(super) fn new(
        log: &'a Log,
        caller: &'a Caller,
        from: Origin,
        method: &'static Method,
    ) -> Self {
        Self {
            log,
            caller,
            from,
            method,
            facts: Facts::default(),
            done: false,
        }
    }

    /// Writes down how the call was answered. Acts of the gateway's own are answered only once they
    /// are in the log.
    pub(super) async fn end(mut self, (code, reason): (Code, &'static str)) {
        self.done = true;
        let refusal = matches!(
            code,
            Code::Unauthenticated | Code::PermissionDenied | Code::NotFound
        );
        if self.method.only_looks() && !refusal {
            return;
        }
        let event = self.event().ended(code, reason);
        // The log is in the same store: an answer that says that it takes nothing need not wait.
        let refused = reason == Reason::StoreUnavailable.name();
        if self.method.handling == Handling::Relayed || self.method.only_looks() || refused {
            self.log.enqueue(event).await;
        } else if timeout(PATIENCE, self.log.record(event)).await.is_err() {
            tracing::error!(
                method = self.method.path,
                "answered before the audit log had it"
            );
        }
    }

    fn event(&mut self) -> Event {
        let facts = std::mem::take(&mut self.facts);
        let event = Event::call(&self.caller.principal, self.method);
        let event = match facts.owner {
            Some(owner) => event.done_for(owner),
            None => event,
        }
        .session(facts.session_id.parse().ok())
        .sandbox(facts.sandbox_id.parse().ok())
        .execution(kept(facts.execution_id))
        .request(kept(facts.request_id))
        .target(kept(facts.target));
        self.from.on(event)
    }
}

impl Drop for Recorded<'_> {
    fn drop(&mut self) {
        if !self.done && !self.method.only_looks() {
            let event = self.event().ended(Code::Cancelled, "CANCELLED");
            self.log.try_note(event);
        }
    }
}

/// What the log keeps of a text: where the caller sent a key in place of a name, not its secret.
fn kept(mut text: String) -> String {
    let end = identity::secret_in(&text).unwrap_or(TEXT_BYTES);
    text.truncate(text.floor_char_boundary(end.min(TEXT_BYTES)));
    text
}

/// The code and the reason of an answer, as far as its headers tell: an answer that begins with a
/// message went well.
pub(super) fn outcome(answer: &Result<Response<Answer>>) -> (Code, &'static str) {
    let failed = |problem: &Problem| (problem.reason().code(), problem.reason().name());
    match answer {
        Err(problem) => failed(problem),
        Ok(response) => match Status::from_header_map(response.headers()) {
            None => (Code::Ok, ""),
            Some(status) => Problem::from_status(&status)
                .as_ref()
                .map_or((status.code(), ""), failed),
        },
    }
}
