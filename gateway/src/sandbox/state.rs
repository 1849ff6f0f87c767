//! The state of a row, and what follows from it.

use sandgate_proto::{Problem, Reason, v1::SandboxState};

use crate::store::SandboxRecord;

/// The state of a row; a number from a later version counts as unknown.
pub(super) fn state(sandbox: &SandboxRecord) -> SandboxState {
    SandboxState::try_from(sandbox.state).unwrap_or(SandboxState::Unknown)
}

/// Whether a sandbox is being moved from one state to another.
pub(super) fn is_on_its_way(state: SandboxState) -> bool {
    matches!(
        state,
        SandboxState::Creating
            | SandboxState::Starting
            | SandboxState::Stopping
            | SandboxState::Pausing
            | SandboxState::Deleting
    )
}

/// A create that failed, and of which something may be left.
pub(super) fn was_never_made(sandbox: &SandboxRecord) -> bool {
    state(sandbox) == SandboxState::Failed && could_not_be_made(sandbox)
}

/// A create that failed, whatever has been done since to take it back.
pub(super) fn could_not_be_made(sandbox: &SandboxRecord) -> bool {
    let over = matches!(
        state(sandbox),
        SandboxState::Failed | SandboxState::Deleting | SandboxState::Deleted
    );
    over && sandbox.start_time.is_none()
}

/// What a row says of why it is as it is.
pub(super) fn why(sandbox: &SandboxRecord) -> Option<Problem> {
    let reason = Reason::from_name(&sandbox.reason_code)?;
    Some(Problem::new(reason, sandbox.reason_message.clone()))
}

pub(super) fn contended() -> Problem {
    Problem::new(
        Reason::EtagMismatch,
        "other calls keep changing this sandbox; look at it with GetSandbox and try again",
    )
}

/// The name of a state without its prefix, as in `STOPPED`.
pub(super) fn state_name(state: SandboxState) -> &'static str {
    state.as_str_name().trim_start_matches("SANDBOX_STATE_")
}
