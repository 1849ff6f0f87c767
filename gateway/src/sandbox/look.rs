//! Looking: what is true of a sandbox now, and what happened to one that is gone.

use std::time::Duration;

use sandgate_proto::{Problem, Reason, v1::SandboxState};

use super::{Sandboxes, TRIES, context::Key, state};
use crate::{
    fleet::Answer,
    problem::Result,
    store::{Changes, SandboxRecord, SessionRecord},
};

/// How long a provider may take to look.
const PATIENCE: Duration = Duration::from_secs(10);

impl Sandboxes {
    /// The live truth where the provider can be asked, and UNKNOWN with the last known facts where
    /// it cannot.
    pub(crate) async fn look(
        &self,
        session: &SessionRecord,
        mut sandbox: SandboxRecord,
    ) -> Result<SandboxRecord> {
        for _ in 0..TRIES {
            if let Some(used) = self.touches.last(sandbox.sandbox_id) {
                sandbox.activity_time = sandbox.activity_time.max(used);
            }
            if !matches!(
                state(&sandbox),
                SandboxState::Running | SandboxState::Stopped | SandboxState::Paused
            ) {
                return Ok(sandbox);
            }
            let mut changes = match self.seen_now(session, &sandbox).await {
                Ok(answer) => self.answered(&sandbox, &answer).await?,
                Err(problem) if problem.reason() == Reason::SandboxNotFound => {
                    broken(&sandbox, &gone(&sandbox, self.clock.now()))
                }
                Err(problem) => return Ok(unknown(sandbox, &problem)),
            };
            if changes == sandbox.unchanged() {
                return Ok(sandbox);
            }
            match self.change(&sandbox, changes.clone()).await {
                Ok(Some(changed)) => return Ok(changed),
                // What somebody else saw may be older.
                Ok(None) => sandbox = self.reload(sandbox.sandbox_id).await?,
                // It is true all the same; a later look writes it.
                Err(problem) if problem.reason() == Reason::StoreUnavailable => {
                    self.settle(&sandbox, &mut changes);
                    return Ok(SandboxRecord {
                        version: sandbox.version,
                        ..sandbox.changed(&changes)
                    });
                }
                Err(problem) => return Err(problem),
            }
        }
        Ok(sandbox)
    }

    /// What the provider says of a sandbox.
    pub(super) async fn seen_now(
        &self,
        session: &SessionRecord,
        sandbox: &SandboxRecord,
    ) -> Result<Answer> {
        let context = self.context(session, sandbox, Key::Current).await?;
        self.lane(sandbox)?.get(&context, PATIENCE).await
    }

    /// Writes what a look found; none where it is as known, or where somebody else changed it.
    pub(super) async fn take_in(
        &self,
        sandbox: &SandboxRecord,
        answer: &Answer,
    ) -> Result<Option<SandboxRecord>> {
        let changes = self.answered(sandbox, answer).await?;
        if changes == sandbox.unchanged() {
            return Ok(None);
        }
        self.change(sandbox, changes).await
    }

    /// A sandbox broke, or is gone.
    pub(super) async fn failed(
        &self,
        sandbox: &SandboxRecord,
        why: &Problem,
    ) -> Result<Option<SandboxRecord>> {
        self.change(sandbox, broken(sandbox, why)).await
    }
}

fn broken(sandbox: &SandboxRecord, why: &Problem) -> Changes {
    let mut changes = sandbox.unchanged();
    changes.state = SandboxState::Failed.into();
    why.reason().name().clone_into(&mut changes.reason_code);
    why.message().clone_into(&mut changes.reason_message);
    changes
}

/// What is said of a sandbox that vanished: by its provider's own clock, or for no reason known here.
pub(super) fn gone(sandbox: &SandboxRecord, now: i64) -> Problem {
    let is_over = |end| end <= now;
    let (reason, message) = if sandbox.provider_expire_time.is_some_and(is_over) {
        (
            Reason::SandboxExpired,
            "the provider ended the sandbox when the time that it gives was over, and its files are lost; delete it and make a new one",
        )
    } else {
        (
            Reason::SandboxNotFound,
            "the sandbox was removed behind the gateway's back and its files are lost; delete it and make a new one",
        )
    };
    Problem::new(reason, message).with("sandbox_id", sandbox.sandbox_id)
}

fn unknown(mut sandbox: SandboxRecord, why: &Problem) -> SandboxRecord {
    sandbox.state = SandboxState::Unknown.into();
    why.reason().name().clone_into(&mut sandbox.reason_code);
    why.message().clone_into(&mut sandbox.reason_message);
    sandbox
}
