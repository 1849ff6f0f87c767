//! What can go wrong with the management API, and what that is for a caller.

use std::time::Duration;

use reqwest::StatusCode;
use sandgate_kit::{Kind, ProviderError};
use sandgate_proto::Outcome;
use thiserror::Error;

use crate::{envd::EnvdFault, words::Words};

/// Why there is no good answer.
#[derive(Debug, Error)]
pub(crate) enum Fault {
    /// It was never sent.
    #[error("not reached: {0}")]
    Unsent(#[source] reqwest::Error),
    /// It was sent, and the answer is lost.
    #[error("lost: {0}")]
    Lost(#[source] reqwest::Error),
    /// The answer did not come in time.
    #[error("no answer in time")]
    Late,
    /// The answer is none that E2B gives.
    #[error("not understood: {0}")]
    Garbage(String),
    /// A key that fits into no header.
    #[error("the key has characters that no key has")]
    BadKey,
    /// E2B says no.
    #[error("{status}: {message}")]
    Refused {
        status: StatusCode,
        message: Words,
        retry_after: Option<Duration>,
    },
}

impl Fault {
    pub(crate) fn of(error: reqwest::Error) -> Self {
        if error.is_connect() || error.is_builder() {
            Self::Unsent(error.without_url())
        } else {
            Self::Lost(error.without_url())
        }
    }

    fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(status.as_u16()),
            _ => None,
        }
    }

    pub(crate) const fn is_unsent(&self) -> bool {
        matches!(self, Self::Unsent(_))
    }

    /// There is no such sandbox.
    pub(crate) fn is_gone(&self) -> bool {
        self.status() == Some(404)
    }

    /// The sandbox is in another state, or on its way to one.
    pub(crate) fn is_conflict(&self) -> bool {
        self.status() == Some(409)
    }

    /// Another try may go better.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Unsent(_) | Self::Lost(_) | Self::Late | Self::Garbage(_) => true,
            Self::Refused { status, .. } => status.is_server_error(),
            Self::BadKey => false,
        }
    }

    /// Whether it is known that nothing was done.
    fn outcome(&self) -> Outcome {
        match self {
            Self::Unsent(_) => Outcome::Rejected,
            _ => Outcome::Ambiguous,
        }
    }

    /// Of a call that does no harm when it is repeated.
    pub(crate) fn harmless(self) -> ProviderError {
        self.told(Outcome::Rejected)
    }

    fn told(self, outcome: Outcome) -> ProviderError {
        let retry_after = match &self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        };
        let (kind, message) = match &self {
            Self::BadKey => (
                Kind::CredentialRejected,
                "the E2B key of your connection is no E2B key: set the connection `e2b` anew",
            ),
            Self::Refused {
                status, message, ..
            } => refused(status.as_u16(), message, outcome),
            _ => (
                Kind::Unavailable(outcome),
                "E2B does not answer; repeat the call, and look at status.e2b.dev if that lasts",
            ),
        };
        let error = ProviderError::new(kind, message).caused_by(self);
        match retry_after {
            Some(wait) => error.retry_after(wait),
            None => error,
        }
    }
}

/// What a refusal is, by its status; of the texts only what E2B is known to say.
fn refused(status: u16, message: &Words, outcome: Outcome) -> (Kind, &'static str) {
    match status {
        401 => (
            Kind::CredentialRejected,
            "E2B does not take your key: make one in its dashboard and set the connection `e2b` anew",
        ),
        403 => (
            Kind::CredentialRejected,
            "E2B does not let your key do this: check that the account is not blocked and may use the template",
        ),
        404 if message.contain("template") => (
            Kind::InvalidField("spec.template"),
            "E2B does not know this template: use its name or id as the dashboard shows it, or leave it out for `base`",
        ),
        404 => (
            Kind::SandboxGone,
            "E2B does not have this sandbox any more: it was killed, or its time was over",
        ),
        409 => (
            Kind::Unavailable(Outcome::Rejected),
            "E2B is just changing the state of this sandbox; repeat the call",
        ),
        429 if message.contain("concurrent") => (
            Kind::RateLimited,
            "as many sandboxes run as your E2B plan allows: delete or pause some, then repeat the call",
        ),
        429 => (
            Kind::RateLimited,
            "E2B wants fewer calls with this key; wait, then repeat the call",
        ),
        400 if message.contain("imeout") || message.contain("Max instance length") => (
            Kind::Rejected,
            "E2B does not keep a sandbox for so long on your plan: ask for a shorter lifetime",
        ),
        503 | 504 => (
            Kind::Unavailable(outcome),
            "E2B has no room for the sandbox just now; repeat the call",
        ),
        500..=599 => (
            Kind::Unavailable(outcome),
            "E2B failed; repeat the call, and look at status.e2b.dev if that lasts",
        ),
        _ => (
            Kind::Rejected,
            "E2B refuses this; check template, environment and timeout of the sandbox",
        ),
    }
}

impl From<Fault> for ProviderError {
    fn from(fault: Fault) -> Self {
        let outcome = fault.outcome();
        fault.told(outcome)
    }
}

impl EnvdFault {
    /// What it is for a caller, who is told this unless it is something better known.
    pub(crate) fn told(self, outcome: Outcome, message: &'static str) -> ProviderError {
        let Self::Refused {
            status: 429,
            retry_after,
            ..
        } = self
        else {
            return ProviderError::new(Kind::Unavailable(outcome), message).caused_by(self);
        };
        let (kind, message) = refused(429, &Words::default(), outcome);
        let error = ProviderError::new(kind, message).caused_by(self);
        match retry_after {
            Some(wait) => error.retry_after(wait),
            None => error,
        }
    }
}

/// What is wrong with JSON, without any of it.
pub(crate) fn unread(error: &serde_json::Error) -> Fault {
    let (kind, line, column) = (error.classify(), error.line(), error.column());
    Fault::Garbage(format!("{kind:?} at {line}:{column}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, message: &str) -> Fault {
        Fault::Refused {
            status: StatusCode::from_u16(status).unwrap(),
            message: message.to_owned().into(),
            retry_after: None,
        }
    }

    #[test]
    fn each_refusal_is_what_it_means() {
        for (status, message, kind) in [
            (401, "Invalid API key", Kind::CredentialRejected),
            (403, "team is blocked", Kind::CredentialRejected),
            (
                404,
                "template 'x' not found",
                Kind::InvalidField("spec.template"),
            ),
            (404, "Sandbox \"i1\" doesn't exist", Kind::SandboxGone),
            (409, "is being paused", Kind::Unavailable(Outcome::Rejected)),
            (429, "Rate limit exceeded", Kind::RateLimited),
            (500, "", Kind::Unavailable(Outcome::Ambiguous)),
            (503, "", Kind::Unavailable(Outcome::Ambiguous)),
            (400, "validation error", Kind::Rejected),
        ] {
            let error = ProviderError::from(refusal(status, message));
            assert_eq!(*error.kind(), kind, "{status} {message}");
            assert!(!error.to_string().contains(message) || message.is_empty());
        }
        let harmless = refusal(500, "").harmless();
        assert_eq!(*harmless.kind(), Kind::Unavailable(Outcome::Rejected));
    }
}
