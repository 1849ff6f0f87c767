//! The problems that the gateway itself can have, each with the sentence that says what to do.

mod file;
mod store;

use std::{fmt, time::Duration};

use sandgate_proto::{Outcome, Problem, Reason};
use uuid::Uuid;

use crate::vault::VaultError;

pub(crate) use file::{
    changed_while_copied, content_mismatch, file_exists, file_too_large, folder_not_empty,
    is_a_folder, not_a_folder, object_gone, offset_past_the_end, reader_took_nothing,
    session_file_not_found, too_many_session_bytes, too_many_session_files, too_many_stored_bytes,
    too_many_transfers, transfer_took_too_long, write_took_too_long,
};
pub(crate) use store::{begun, damaged};

/// The gateway's results.
pub(crate) type Result<T> = std::result::Result<T, Problem>;

/// How soon to try again where nothing better is known.
const SOON: Duration = Duration::from_secs(1);
/// How soon somebody may have freed what an organisation has too much of.
const FREED: Duration = Duration::from_secs(30);

pub(crate) fn session_not_found(session_id: Uuid) -> Problem {
    Problem::new(
        Reason::SessionNotFound,
        "there is no such session of yours; make one with SessionService.CreateSession",
    )
    .with("session_id", session_id)
}

pub(crate) fn agent_not_found(agent_id: &str) -> Problem {
    Problem::new(
        Reason::AgentNotFound,
        "your organisation has no agent or harness of this id; list them with AgentService.ListAgents",
    )
    .with("agent_id", agent_id)
}

pub(crate) fn api_key_not_found(api_key_id: &str) -> Problem {
    Problem::new(
        Reason::ApiKeyNotFound,
        "there is no API key of this id; list them with AdminService.ListApiKeys",
    )
    .with("api_key_id", api_key_id)
}

/// One answer for every credential that is not good: which of these it is, is nobody's business.
pub(crate) fn authentication_required() -> Problem {
    Problem::new(
        Reason::AuthenticationRequired,
        "send the metadata `authorization: Bearer KEY` with an API key or token of this gateway; there was none, or it is unknown, expired or revoked",
    )
}

pub(crate) fn certificate_names_nobody() -> Problem {
    Problem::new(
        Reason::AuthenticationRequired,
        "the client certificate must name one organisation (O) and one user (CN) in its subject; use one that does, or send the metadata `authorization: Bearer KEY`",
    )
}

pub(crate) fn token_keys_unavailable() -> Problem {
    Problem::new(
        Reason::UpstreamUnavailable,
        "the keys of the token's issuer could not be fetched yet; repeat the call, and check SANDGATE_JWT_ISSUER and SANDGATE_JWT_JWKS_URL if it fails again",
    )
    .with_outcome(Outcome::Rejected)
    .retry_after(SOON)
}

pub(crate) fn scope_required(scope: &str) -> Problem {
    Problem::new(
        Reason::ScopeRequired,
        format!(
            "the call needs a key with the scope {scope}; use one that has it, or have one issued"
        ),
    )
    .with("scope", scope)
}

/// `limit`: the name of what is bounded, as in the configuration.
pub(crate) fn quota_exceeded(limit: &'static str, org_id: &str, message: &str) -> Problem {
    Problem::new(Reason::QuotaExceeded, message)
        .with("limit", limit)
        .with_quota(format!("org:{org_id}"), message)
        .retry_after(FREED)
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

impl From<VaultError> for Problem {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::UnknownKey(key_id) => Self::new(
                Reason::EncryptionKeyUnknown,
                format!("what is needed is sealed with the key {key_id}, which this gateway does not have; add that key to SANDGATE_ENCRYPTION_KEYS and start the gateway again"),
            )
            .with("key_id", key_id),
            other => internal("vault", &other),
        }
    }
}

pub(crate) fn request_id_reused() -> Problem {
    Problem::new(
        Reason::RequestIdReused,
        "this request_id was used before with another request; choose a new one for a new request",
    )
}

/// `capability`: what the session would need.
pub(crate) fn capability_not_enabled(capability: &str, message: impl Into<String>) -> Problem {
    Problem::new(Reason::CapabilityNotEnabled, message).with("capability", capability)
}

/// The resource has another etag than the caller thought, or changed while it was being changed.
pub(crate) fn etag_mismatch() -> Problem {
    Problem::new(
        Reason::EtagMismatch,
        "this was changed since it was read; read it again, apply the change to what is there now, and repeat",
    )
}

pub(crate) fn agent_id_reused(agent_id: &str) -> Problem {
    Problem::new(
        Reason::AgentIdReused,
        "this agent_id is taken; choose another, or change the agent that has it with AgentService.UpdateAgent",
    )
    .with("agent_id", agent_id)
}

pub(crate) fn agent_built_in(agent_id: &str) -> Problem {
    Problem::new(
        Reason::AgentBuiltIn,
        "this agent comes with Sandgate and stays as it is; make one of your own with AgentService.CreateAgent",
    )
    .with("agent_id", agent_id)
}

#[cfg(test)]
mod tests;
