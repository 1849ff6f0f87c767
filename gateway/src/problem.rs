//! The problems that the gateway itself can have, each with the sentence that says what to do.

use std::{fmt, time::Duration};

use sandgate_proto::{Outcome, Problem, Reason};
use uuid::Uuid;

use crate::store::StoreError;

/// The gateway's results.
pub(crate) type Result<T> = std::result::Result<T, Problem>;

/// How soon to try again where nothing better is known.
const SOON: Duration = Duration::from_secs(1);

pub(crate) fn session_not_found(session_id: Uuid) -> Problem {
    Problem::new(
        Reason::SessionNotFound,
        "there is no such session of yours; make one with SessionService.CreateSession",
    )
    .with("session_id", session_id)
}

/// `wanted`: the id or alias as the caller sent it.
pub(crate) fn sandbox_not_found(wanted: impl fmt::Display) -> Problem {
    Problem::new(
        Reason::SandboxNotFound,
        "there is no such sandbox in this session; list them with SandboxService.ListSandboxes, or make one with CreateSandbox",
    )
    .with("sandbox_id", wanted)
}

pub(crate) fn no_default_sandbox() -> Problem {
    Problem::invalid_field(
        "sandbox_id",
        "is required: name a sandbox by its id, or by @alias",
    )
}

pub(crate) fn secret_not_found(name: &str) -> Problem {
    Problem::new(
        Reason::SecretNotFound,
        "the session has no secret of this name; store it with SecretService.SetSecret first",
    )
    .with("name", name)
}

pub(crate) fn provider_not_configured(provider: &str, known: &[&str]) -> Problem {
    Problem::new(
        Reason::ProviderNotConfigured,
        format!(
            "this gateway has no provider of that name; it has: {}. Start it with --providers to add one",
            known.join(", "),
        ),
    )
    .with("provider", provider)
}

pub(crate) fn not_running(sandbox_id: Uuid, state: &str) -> Problem {
    Problem::new(
        Reason::SandboxNotRunning,
        format!("the sandbox is {state} and this call does not start it; call SandboxService.StartSandbox, or make a new sandbox if it failed or is being deleted"),
    )
    .with("sandbox_id", sandbox_id)
    .with("state", state)
}

pub(crate) fn unsupported(capability: &'static str, message: impl Into<String>) -> Problem {
    Problem::new(Reason::CapabilityUnsupported, message).with("capability", capability)
}

/// `outcome`: whether the provider may have acted.
pub(crate) fn provider_unavailable(provider: &str, outcome: Outcome) -> Problem {
    let advice = match outcome {
        Outcome::Rejected => {
            "it was not reached, so repeating the call is safe; check that the provider service runs"
        }
        Outcome::Ambiguous => {
            "it may have acted on the call; look at the sandbox or execution before repeating it"
        }
    };
    Problem::new(
        Reason::ProviderUnavailable,
        format!("the provider {provider} does not answer; {advice}"),
    )
    .with("provider", provider)
    .with_outcome(outcome)
    .retry_after(SOON)
}

/// The provider wants a token or certificate that this gateway does not send. Callers can do nothing
/// about that, so it is never UNAUTHENTICATED.
pub(crate) fn not_let_in(provider: &str) -> Problem {
    Problem::new(
        Reason::ProviderUnavailable,
        format!("the provider {provider} does not let this gateway in; set the same SANDGATE_PROVIDER_TOKEN on both"),
    )
    .with("provider", provider)
    .with_outcome(Outcome::Rejected)
    .retry_after(SOON)
}

pub(crate) fn holder_unavailable(provider: &str, instance_id: &str) -> Problem {
    Problem::new(
        Reason::HolderUnavailable,
        "the machine that holds this sandbox does not answer; its sandboxes are kept, so try again once it is back",
    )
    .with("provider", provider)
    .with("instance_id", instance_id)
    .with_outcome(Outcome::Rejected)
    .retry_after(SOON)
}

pub(crate) fn deadline_exceeded() -> Problem {
    Problem::new(
        Reason::DeadlineExceeded,
        "the call's deadline passed before it was answered; work that it began may go on, so look before repeating it, and allow more time",
    )
    .with_outcome(Outcome::Ambiguous)
}

/// Logs the cause; the caller only learns that the fault is ours.
pub(crate) fn internal(what: &str, cause: &dyn fmt::Display) -> Problem {
    tracing::error!(what, %cause, "internal error");
    Problem::new(
        Reason::Internal,
        format!(
            "the gateway failed ({what}); repeat the call, and see the gateway's log if it fails again"
        ),
    )
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        internal("store", &error)
    }
}

pub(crate) fn request_id_reused() -> Problem {
    Problem::new(
        Reason::RequestIdReused,
        "this request_id was used before with another request; choose a new one for a new request",
    )
}
