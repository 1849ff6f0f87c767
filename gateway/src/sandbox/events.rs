//! What those who watch a session are told of its sandboxes, and what they want to know of them.

use std::time::Duration;

use sandgate_proto::{
    Problem,
    v1::{SandboxChanged, SandboxState, session_event::Event},
};

use super::{Sandboxes, context::Key, describe, state};
use crate::{
    fleet::Renewed,
    problem::Result,
    store::{Changes, NewEvent, SandboxRecord, SessionRecord},
    watch,
};

/// How long a provider may take to say what a sandbox did.
const RENEW_PATIENCE: Duration = Duration::from_secs(5);

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

/// A create has failed and left nothing: there is no sandbox any more.
pub(super) fn taken_back(sandbox: &SandboxRecord, why: &Problem) -> Result<NewEvent> {
    let mut changes = sandbox.unchanged();
    changes.state = SandboxState::Deleted.into();
    why.reason().name().clone_into(&mut changes.reason_code);
    why.message().clone_into(&mut changes.reason_message);
    told(&sandbox.changed(&changes), Some(state(sandbox)))
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

impl Sandboxes {
    /// Asks what a running sandbox did since `ended_cursor`, and keeps what else is news of it.
    pub(crate) async fn renew(
        &self,
        session: &SessionRecord,
        sandbox: &SandboxRecord,
        ended_cursor: String,
    ) -> Result<Renewed> {
        let context = self.context(session, sandbox, Key::Current).await?;
        let renewed = self
            .lane(sandbox)?
            .renew(&context, ended_cursor, RENEW_PATIENCE)
            .await?;
        let changes = self.answered(sandbox, &renewed.answer).await?;
        if changes != sandbox.unchanged() {
            self.change(sandbox, &changes).await?;
        }
        Ok(renewed)
    }
}
