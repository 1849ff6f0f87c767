//! What those who watch a session are told of its sandboxes.

use sandgate_proto::v1::{SandboxChanged, SandboxState, session_event::Event};

use super::{describe, state};
use crate::{
    problem::Result,
    store::{Changes, NewEvent, SandboxRecord},
    watch,
};

/// A sandbox is there now.
pub(super) fn made(sandbox: &SandboxRecord) -> Result<NewEvent> {
    told(sandbox, None)
}

/// A sandbox is about to be in another state; none where it stays in the one that it has.
pub(super) fn changed(sandbox: &SandboxRecord, changes: &Changes) -> Result<Option<NewEvent>> {
    if changes.state == sandbox.state {
        return Ok(None);
    }
    told(&sandbox.changed(changes), Some(state(sandbox))).map(Some)
}

fn told(sandbox: &SandboxRecord, before: Option<SandboxState>) -> Result<NewEvent> {
    let event = Event::SandboxChanged(SandboxChanged {
        sandbox: Some(describe(sandbox)?),
        previous_state: before.unwrap_or_default().into(),
    });
    Ok(watch::new_event(
        sandbox.session_id,
        Some(sandbox.sandbox_id),
        event,
    ))
}
