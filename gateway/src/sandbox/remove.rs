//! Deleting. Clean-up outlives its key: what was made with a key is removed with it, and then the
//! key goes.

use std::time::Duration;

use sandgate_proto::{
    Reason,
    v1::{EndExecutions, SandboxState},
};
use tokio::time::timeout;

use super::{Sandboxes, TRIES, contended, context::Key, flight::Flight, state};
use crate::{
    problem::Result,
    sealed::Sealed,
    step,
    store::{SandboxRecord, SessionRecord},
};

/// How long a provider may take to delete a sandbox.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long saving what ran may hold up a delete.
const SAVING: Duration = Duration::from_secs(20);

impl Sandboxes {
    /// Deletes a sandbox, whatever it is doing. Deleted ones stay deleted.
    pub(crate) async fn delete(
        &self,
        session: &SessionRecord,
        sandbox: SandboxRecord,
    ) -> Result<SandboxRecord> {
        let sandbox_id = sandbox.sandbox_id;
        let mut sandbox = sandbox;
        for _ in 0..TRIES {
            if state(&sandbox) == SandboxState::Deleted {
                return Ok(sandbox);
            }
            // What is under way may be the create that this delete overtook: its outcome is not ours.
            let joined = self.flights.current(&sandbox_id);
            match self.begin_delete(session, sandbox).await? {
                None => {}
                Some(flight) => {
                    let landed = flight.await;
                    if joined.is_none() {
                        landed?;
                    }
                }
            }
            sandbox = self.reload(sandbox_id).await?;
        }
        Err(contended())
    }

    /// Marks a sandbox as going away, from where there is no way back, and begins to delete it: the
    /// flight that does, or the one that has to land before. None where another change came first.
    pub(super) async fn begin_delete(
        &self,
        session: &SessionRecord,
        sandbox: SandboxRecord,
    ) -> Result<Option<Flight>> {
        if state(&sandbox) == SandboxState::Deleting {
            return Ok(Some(self.deletion(session, &sandbox)));
        }
        let mut changes = sandbox.unchanged();
        changes.state = SandboxState::Deleting.into();
        let Some(deleting) = self.change(&sandbox, changes).await? else {
            return Ok(None);
        };
        Ok(Some(self.deletion(session, &deleting)))
    }

    /// The work of a delete: joined if it is under way, begun if it is not.
    pub(super) fn deletion(&self, session: &SessionRecord, sandbox: &SandboxRecord) -> Flight {
        let work = self.clone().carry_away(session.clone(), sandbox.clone());
        self.fly(sandbox.sandbox_id, work)
    }

    pub(super) async fn carry_away(
        self,
        session: SessionRecord,
        sandbox: SandboxRecord,
    ) -> Result<SandboxRecord> {
        if let Err(problem) = self.take_away(&session, &sandbox).await {
            // Nobody may be there to repeat it: the lease task does, later each time.
            self.try_again(&sandbox).await?;
            return Err(problem);
        }
        let mut changes = sandbox.unchanged();
        changes.state = SandboxState::Deleted.into();
        changes.delete_time = Some(self.clock.now());
        changes.provider_state = Some(Sealed::default());
        let deleted = match self.change(&sandbox, changes).await? {
            Some(deleted) => deleted,
            None => self.reload(sandbox.sandbox_id).await?,
        };
        self.touches.forget(sandbox.sandbox_id);
        step::reached("gateway.delete.recorded")?;
        self.release_key(&sandbox).await;
        Ok(deleted)
    }

    /// Saves what ran, then has the upstream removed.
    async fn take_away(&self, session: &SessionRecord, sandbox: &SandboxRecord) -> Result<()> {
        step::reached("gateway.delete.marked")?;
        let end = EndExecutions {
            grace_timeout: Some(prost_types::Duration::default()),
            by: "SANDBOX_DELETED".to_owned(),
            only_if_idle_for: None,
        };
        // One that never ran has nothing to save.
        if sandbox.start_time.is_some() {
            let saved = self.save_last(session, sandbox, Some(end), Key::MadeWith);
            match timeout(SAVING, saved).await.ok().transpose()? {
                Some(Ok(_)) => {}
                // It may be stopped, broken or gone, and goes in any case.
                Some(Err(problem)) => {
                    tracing::debug!(sandbox_id = %sandbox.sandbox_id, %problem, "nothing was saved ahead of a delete");
                }
                None => {
                    tracing::warn!(sandbox_id = %sandbox.sandbox_id, "what ran could not be saved in time ahead of a delete");
                }
            }
        }
        step::reached("gateway.delete.closed")?;
        self.remove(session, sandbox, PATIENCE).await?;
        step::reached("gateway.delete.removed")
    }

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
