//! What the engine answers when it does not do what it was asked, and the one place where that
//! becomes a [`ProviderError`].

use std::{error::Error as StdError, io};

use bollard::errors::Error;
use sandgate_kit::{Kind, ProviderError};
use sandgate_proto::Outcome;
use thiserror::Error as ThisError;

/// Calls that are about no sandbox: an engine always has what they ask for.
const WIDE: &[&str] = &["ping", "version", "info", "list", "create network"];
const NO_ENGINE: &str =
    "what answers there is no Docker Engine; check CONTAINER_SANDBOX_DOCKER_HOST";
const UNREADABLE: &str = "the Docker Engine's answer could not be read: try again; if it lasts, check that CONTAINER_SANDBOX_DOCKER_HOST leads to a Docker Engine";

/// A call to the engine that failed.
#[derive(Debug, ThisError)]
#[error("docker {call}")]
pub(crate) struct Fault {
    call: &'static str,
    changes: bool,
    source: Cause,
}

/// Why it failed.
#[derive(Debug, ThisError)]
pub(crate) enum Cause {
    /// Nothing came in the time allowed.
    #[error("no answer in time")]
    Timeout,
    /// The engine, or the way to it, said no.
    #[error(transparent)]
    Engine(#[from] Error),
}

impl Fault {
    pub(crate) const fn new(call: &'static str, changes: bool, source: Cause) -> Self {
        Self {
            call,
            changes,
            source,
        }
    }

    /// The HTTP status of the engine's answer, if it answered.
    pub(crate) const fn status(&self) -> Option<u16> {
        match &self.source {
            Cause::Engine(Error::DockerResponseServerError { status_code, .. }) => {
                Some(*status_code)
            }
            _ => None,
        }
    }

    /// Whether the engine has no such thing.
    pub(crate) fn is_gone(&self) -> bool {
        self.status() == Some(404)
    }

    /// Whether the engine's own text has one of these in it, in any case. Its texts are no
    /// contract: use this only to say more than the status does.
    pub(crate) fn says(&self, parts: &[&str]) -> bool {
        let text = match &self.source {
            Cause::Engine(Error::DockerResponseServerError { message, .. }) => message,
            Cause::Engine(Error::DockerStreamError { error }) => error,
            _ => return false,
        };
        let text = text.to_lowercase();
        parts.iter().any(|part| text.contains(part))
    }

    /// The same failure, told to the caller with more knowledge of what was tried.
    pub(crate) fn told(self, kind: Kind, message: impl Into<String>) -> ProviderError {
        ProviderError::new(kind, message).caused_by(self)
    }

    /// The engine may have acted even if its answer was not seen.
    const fn outcome(&self) -> Outcome {
        if self.changes {
            Outcome::Ambiguous
        } else {
            Outcome::Rejected
        }
    }
}

impl From<Fault> for ProviderError {
    fn from(fault: Fault) -> Self {
        let (kind, message) = match &fault.source {
            Cause::Timeout => (
                Kind::Unavailable(fault.outcome()),
                "the Docker Engine did not answer in time; look at the sandbox, then try again",
            ),
            Cause::Engine(Error::DockerResponseServerError {
                status_code,
                message,
            }) => by_status(*status_code, message, &fault),
            Cause::Engine(Error::DockerStreamError { .. }) => (
                Kind::Rejected,
                "the Docker Engine broke off; its log and this provider's say why",
            ),
            Cause::Engine(error) => by_transport(error, &fault),
        };
        Self::new(kind, message).caused_by(fault)
    }
}

fn by_status(status: u16, message: &str, fault: &Fault) -> (Kind, &'static str) {
    match status {
        404 if WIDE.contains(&fault.call) => (Kind::Rejected, NO_ENGINE),
        404 => (
            Kind::SandboxGone,
            "the Docker Engine no longer has it; create the sandbox anew",
        ),
        409 if message.contains("is not running") || message.contains("is paused") => (
            Kind::NotRunning,
            "the sandbox is not running; start it first",
        ),
        429 => (
            Kind::RateLimited,
            "what stands before the Docker Engine or its registry wants fewer calls; wait, then try again",
        ),
        401 | 403 => (
            Kind::Rejected,
            "the Docker Engine refused this provider; allow it there, or choose another engine with CONTAINER_SANDBOX_DOCKER_HOST",
        ),
        502..=504 => (
            Kind::Unavailable(fault.outcome()),
            "what stands before the Docker Engine cannot reach it; try again soon",
        ),
        500..=599 => (
            Kind::Unavailable(fault.outcome()),
            "the Docker Engine failed; its log says why. Look at the sandbox, then try again",
        ),
        _ => (
            Kind::Rejected,
            "the Docker Engine refused the request; this provider's log says why",
        ),
    }
}

/// No answer: either nobody was reached, or the connection broke.
fn by_transport(error: &Error, fault: &Fault) -> (Kind, &'static str) {
    let never_sent = match error {
        Error::SocketNotFoundError(_) => true,
        Error::HyperLegacyError { err } => err.is_connect(),
        Error::CertPathError { .. }
        | Error::CertParseError { .. }
        | Error::CertMultipleKeys { .. }
        | Error::NoNativeCertsError { .. }
        | Error::LoadNativeCertsErrors { .. } => {
            return (
                Kind::Unavailable(Outcome::Rejected),
                "the certificates for the Docker Engine cannot be used: check ca.pem, cert.pem and key.pem in DOCKER_CERT_PATH",
            );
        }
        Error::JsonDataError { .. } | Error::JsonSerdeError { .. } => {
            return (Kind::Unavailable(fault.outcome()), UNREADABLE);
        }
        _ => false,
    };
    if denied(error) {
        return (
            Kind::Unavailable(Outcome::Rejected),
            "the Docker Engine's socket may not be opened: let this provider's user in, as by adding it to the group `docker`",
        );
    }
    let outcome = if never_sent {
        Outcome::Rejected
    } else {
        fault.outcome()
    };
    (
        Kind::Unavailable(outcome),
        "the Docker Engine cannot be reached: start it, or set CONTAINER_SANDBOX_DOCKER_HOST to where it listens",
    )
}

/// Whether the machine itself refuses, anywhere down the chain of causes.
fn denied(error: &Error) -> bool {
    let refuses = |error: &io::Error| error.kind() == io::ErrorKind::PermissionDenied;
    // bollard shows this one as its own, so the chain begins below it.
    if let Error::IOError { err } = error {
        return refuses(err);
    }
    let mut next = error.source();
    while let Some(cause) = next {
        if cause.downcast_ref().is_some_and(refuses) {
            return true;
        }
        next = cause.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status_code: u16, message: &str) -> Fault {
        let message = message.to_owned();
        Fault::new(
            "call",
            true,
            Error::DockerResponseServerError {
                status_code,
                message,
            }
            .into(),
        )
    }

    fn kind(fault: Fault) -> Kind {
        ProviderError::from(fault).kind().clone()
    }

    #[test]
    fn every_status_has_its_kind() {
        let ambiguous = || Kind::Unavailable(Outcome::Ambiguous);
        for (status, message, expected) in [
            (400, "bad parameter", Kind::Rejected),
            (401, "", Kind::Rejected),
            (403, "", Kind::Rejected),
            (404, "No such container: x", Kind::SandboxGone),
            (409, "Container x is not running", Kind::NotRunning),
            (409, "Container x is paused", Kind::NotRunning),
            (
                409,
                "Conflict. The container name is already in use",
                Kind::Rejected,
            ),
            (429, "toomanyrequests", Kind::RateLimited),
            (500, "driver failed", ambiguous()),
            (503, "", ambiguous()),
        ] {
            assert_eq!(
                kind(answered(status, message)),
                expected,
                "{status} {message}"
            );
        }
    }

    #[test]
    fn only_a_call_that_changes_something_is_ambiguous() {
        assert_eq!(
            kind(Fault::new("c", true, Cause::Timeout)),
            Kind::Unavailable(Outcome::Ambiguous)
        );
        assert_eq!(
            kind(Fault::new("c", false, Cause::Timeout)),
            Kind::Unavailable(Outcome::Rejected)
        );
        let no_socket = Error::SocketNotFoundError("/x".into());
        assert_eq!(
            kind(Fault::new("c", true, no_socket.into())),
            Kind::Unavailable(Outcome::Rejected)
        );
    }

    #[test]
    fn a_socket_of_somebody_else_says_so() {
        let err = io::Error::from(io::ErrorKind::PermissionDenied);
        let error = ProviderError::from(Fault::new("c", true, Error::IOError { err }.into()));
        assert_eq!(*error.kind(), Kind::Unavailable(Outcome::Rejected));
        assert!(error.to_string().contains("group `docker`"));
    }

    #[test]
    fn the_engines_own_text_stays_in_the_source() {
        for status in [400, 403, 404, 409, 500] {
            let error = ProviderError::from(answered(status, "secret-in-a-text"));
            assert!(!error.to_string().contains("secret"), "{status}");
            let source = error
                .source()
                .and_then(StdError::source)
                .map(ToString::to_string);
            assert!(
                source.is_some_and(|text| text.contains("secret")),
                "{status}"
            );
        }
    }

    #[test]
    fn texts_are_found_in_any_case() {
        assert!(answered(403, "Pool overlaps with other one").says(&["overlap"]));
        assert!(!answered(403, "no").says(&["overlap"]));
        assert!(!Fault::new("c", true, Cause::Timeout).says(&[""]));
        assert!(answered(404, "").is_gone());
    }
}
