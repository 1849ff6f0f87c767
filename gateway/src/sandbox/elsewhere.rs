//! What is done with a sandbox, here or by another gateway: waited for.

use std::time::Duration;

use sandgate_proto::v1::SandboxState;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{Sandboxes, state};
use crate::{problem::Result, store::SandboxRecord};

/// Between two looks at the row.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How long whoever wants to know what ran in a sandbox waits until that is saved.
const SAVED: Duration = Duration::from_secs(30);

impl Sandboxes {
    /// Whether another gateway moves the sandbox and has not let go of it. A delete is held by nobody:
    /// any number of them do no harm.
    pub(super) fn is_held_elsewhere(&self, sandbox: &SandboxRecord) -> bool {
        let moves = matches!(
            state(sandbox),
            SandboxState::Starting | SandboxState::Stopping | SandboxState::Pausing
        );
        // Who failed has let go, and only says when it is tried again.
        let held = sandbox.tries == 0 && sandbox.due_time.is_some_and(|due| due > self.clock.now());
        moves && held && self.flights.current(&sandbox.sandbox_id).is_none()
    }

    /// Waits until a sandbox of this session that goes to rest is there, for a while, unless that has
    /// failed and is only tried again; true: it was on its way. Nothing can be told from it of another
    /// session's.
    pub(crate) async fn comes_to_rest(&self, session_id: Uuid, sandbox_id: Uuid) -> Result<bool> {
        let begun = Instant::now();
        let mut waited = false;
        while begun.elapsed() < SAVED {
            let found = self.store.sandbox(sandbox_id).await?;
            let goes = found.is_some_and(|sandbox| {
                let rests = matches!(
                    state(&sandbox),
                    SandboxState::Stopping | SandboxState::Pausing | SandboxState::Deleting
                );
                rests && sandbox.tries == 0 && sandbox.session_id == session_id
            });
            if !goes {
                break;
            }
            waited = true;
            sleep(LOOK_AGAIN).await;
        }
        Ok(waited)
    }

    /// Waits until the sandbox is moved on, or is let go of.
    pub(super) async fn moved_elsewhere(
        &self,
        mut sandbox: SandboxRecord,
    ) -> Result<SandboxRecord> {
        let way = sandbox.state;
        while sandbox.state == way && self.is_held_elsewhere(&sandbox) {
            sleep(LOOK_AGAIN).await;
            sandbox = self.reload(sandbox.sandbox_id).await?;
        }
        Ok(sandbox)
    }
}
