//! One act, as it is put together where it happens; written out later, where time is not short.

use std::{borrow::Cow, collections::BTreeMap, net::IpAddr, time::Duration};

use sandgate_proto::{Code, Problem, methods::Method};
use uuid::Uuid;

use crate::{
    clock,
    principal::{Identity, Owner, Principal},
    store::AuditRecord,
};

/// Who the gateway's own acts are by.
const SYSTEM: &str = "system";

/// One act. Begins with who and what, goes on with what is known besides.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    time: i64,
    who: Who,
    owner: Owner,
    method: &'static str,
    session_id: Option<Uuid>,
    sandbox_id: Option<Uuid>,
    execution_id: String,
    target: String,
    code: Code,
    reason: Cow<'static, str>,
    request_id: String,
    peer: Option<IpAddr>,
    trace_id: String,
    duration: Duration,
    details: BTreeMap<String, String>,
}

#[derive(Clone, Debug)]
enum Who {
    Caller(Identity),
    /// Somebody who did not say, or could not prove, who it is.
    Nobody,
    Gateway,
}

impl Event {
    /// A call, done for the caller unless [`Self::done_for`] says otherwise.
    pub(crate) fn call(principal: &Principal, method: &'static Method) -> Self {
        let who = Who::Caller(principal.identity.clone());
        Self {
            owner: principal.owner.clone(),
            ..Self::new(who, full_name(method))
        }
    }

    /// A call of somebody who is not known.
    pub(crate) fn stranger(method: &'static Method) -> Self {
        Self::new(Who::Nobody, full_name(method))
    }

    /// An act of the gateway's own; `what` as in `system/lease_cleanup`.
    pub(crate) fn own(what: &'static str) -> Self {
        Self::new(Who::Gateway, what)
    }

    fn new(who: Who, method: &'static str) -> Self {
        Self {
            time: clock::now(),
            who,
            owner: Owner::default(),
            method,
            session_id: None,
            sandbox_id: None,
            execution_id: String::new(),
            target: String::new(),
            code: Code::Ok,
            reason: Cow::Borrowed(""),
            request_id: String::new(),
            peer: None,
            trace_id: String::new(),
            duration: Duration::ZERO,
            details: BTreeMap::new(),
        }
    }

    /// Whose thing it was about.
    #[must_use]
    pub(crate) fn done_for(mut self, owner: Owner) -> Self {
        self.owner = owner;
        self
    }

    /// The session that it was about, if any.
    #[must_use]
    pub(crate) fn session(mut self, session_id: impl Into<Option<Uuid>>) -> Self {
        self.session_id = session_id.into();
        self
    }

    /// The sandbox that it was about, if any.
    #[must_use]
    pub(crate) fn sandbox(mut self, sandbox_id: impl Into<Option<Uuid>>) -> Self {
        self.sandbox_id = sandbox_id.into();
        self
    }

    /// The execution that it was about.
    #[must_use]
    pub(crate) fn execution(mut self, execution_id: impl Into<String>) -> Self {
        self.execution_id = execution_id.into();
        self
    }

    /// What else it was about; never a secret.
    #[must_use]
    pub(crate) fn target(mut self, target: impl Into<String>) -> Self {
        self.target = target.into();
        self
    }

    /// The request_id that the caller gave.
    #[must_use]
    pub(crate) fn request(mut self, request_id: impl Into<String>) -> Self {
        self.request_id = request_id.into();
        self
    }

    /// Where the caller is.
    #[must_use]
    pub(crate) fn peer(mut self, peer: impl Into<Option<IpAddr>>) -> Self {
        self.peer = peer.into();
        self
    }

    /// The trace that it belongs to, hex.
    #[must_use]
    pub(crate) fn trace(mut self, trace_id: impl Into<String>) -> Self {
        self.trace_id = trace_id.into();
        self
    }

    /// How it ended, as the status says; the reason of an error where it has one.
    #[must_use]
    pub(crate) fn ended(mut self, code: Code, reason: impl Into<Cow<'static, str>>) -> Self {
        (self.code, self.reason) = (code, reason.into());
        self
    }

    /// How it failed.
    #[must_use]
    pub(crate) fn failed(self, problem: &Problem) -> Self {
        let reason = problem.reason();
        self.ended(reason.code(), reason.name())
    }

    /// How long it took; it is over now.
    #[must_use]
    pub(crate) fn took(mut self, duration: Duration) -> Self {
        self.time = clock::now();
        self.duration = duration;
        self
    }

    /// One more fact; never a secret.
    #[must_use]
    pub(crate) fn detail(mut self, key: &str, value: impl Into<String>) -> Self {
        self.details.insert(key.to_owned(), value.into());
        self
    }

    /// Written out, with an id of its own.
    pub(super) fn into_record(self) -> AuditRecord {
        let text = |id: Option<Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
        AuditRecord {
            seq: 0,
            event_id: Uuid::new_v4().to_string(),
            time: self.time,
            org_id: self.owner.org_id,
            user_id: self.owner.user_id,
            session_id: text(self.session_id),
            sandbox_id: text(self.sandbox_id),
            execution_id: self.execution_id,
            principal: match self.who {
                Who::Caller(identity) => identity.to_string(),
                Who::Nobody => String::new(),
                Who::Gateway => SYSTEM.to_owned(),
            },
            method: self.method.to_owned(),
            target: self.target,
            code: code_name(self.code).to_owned(),
            reason: self.reason.into_owned(),
            request_id: self.request_id,
            peer_address: self.peer.map(|peer| peer.to_string()).unwrap_or_default(),
            trace_id: self.trace_id,
            duration: i64::try_from(self.duration.as_micros()).unwrap_or(i64::MAX),
            details: self.details,
        }
    }
}

/// `sandbox.v1.SandboxService/CreateSandbox`.
fn full_name(method: &'static Method) -> &'static str {
    method.path.trim_start_matches('/')
}

/// The name of a code as it stands in the log.
fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
