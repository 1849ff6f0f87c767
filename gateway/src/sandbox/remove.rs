//! Clean-up outlives its key: what was made with a key is removed with it, and then the key goes.

use std::time::Duration;

use sandgate_proto::Reason;

use super::{Sandboxes, context::Key};
use crate::{
    problem::Result,
    store::{SandboxRecord, SessionRecord},
};

impl Sandboxes {
    /// Has the provider delete the upstream sandbox: with the key that it was made with, or where
    /// the upstream does not take that any more, with the one that the user has now.
    pub(super) async fn remove(
        &self,
        session: &SessionRecord,
        sandbox: &SandboxRecord,
        patience: Duration,
    ) -> Result<()> {
        let lane = self.lane(sandbox)?;
        let context = self.context(session, sandbox, Key::MadeWith).await?;
        let refused = match lane.delete(&context, patience).await {
            Err(problem) if problem.reason() == Reason::CredentialRejected => problem,
            other => return other,
        };
        let Some(other) = self.other_key(session, sandbox).await else {
            return Err(refused);
        };
        let context = self.context_with(session, sandbox, Key::MadeWith, Some(other.credential));
        lane.delete(&context.await?, patience).await
    }

    /// Forgets a key that was kept only to clean up, once nothing is left that was made with it.
    pub(super) async fn release_key(&self, sandbox: &SandboxRecord) {
        let Some(value_id) = sandbox.credential_id else {
            return;
        };
        if let Err(problem) = self.credentials.release(value_id).await {
            // Tried again with the next sandbox that goes.
            tracing::warn!(%problem, "a key that nothing needs was not removed");
        }
    }
}
