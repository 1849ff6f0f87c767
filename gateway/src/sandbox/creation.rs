//! The work of a create: the provider is asked, and what fails is taken back.

use std::time::Duration;

use prost::Message as _;
use sandgate_proto::{
    Problem, Reason,
    v1::{SandboxSpec, SandboxState},
};

use super::{Sandboxes, context::Key, events, flight::Flight, spec, state, state::why};
use crate::{
    problem::{self, Result},
    sealed::Sealed,
    step,
    store::{Changes, SandboxRecord, SessionRecord},
};

/// How long a provider may take: it may have to pull an image.
const PATIENCE: Duration = Duration::from_secs(900);
/// How long taking back may take.
const ROLLBACK_PATIENCE: Duration = Duration::from_secs(120);

impl Sandboxes {
    /// The work of a create: joined if it is under way, begun if it is not, also after a crash.
    pub(super) fn creation(&self, session: &SessionRecord, sandbox: &SandboxRecord) -> Flight {
        let work = self.clone().carry_out(session.clone(), sandbox.clone());
        self.fly(sandbox.sandbox_id, work)
    }

    async fn carry_out(
        self,
        session: SessionRecord,
        sandbox: SandboxRecord,
    ) -> Result<SandboxRecord> {
        let asked = self.ask_provider(&session, &sandbox).await;
        let changes = match asked {
            Ok(changes) => changes,
            Err(problem) => {
                return match self.take_back(&session, &sandbox, &problem).await? {
                    Some(theirs) => Ok(theirs),
                    None => Err(problem),
                };
            }
        };
        if let Some(running) = self.change(&sandbox, changes).await? {
            step::reached("gateway.create.recorded")?;
            return Ok(running);
        }
        self.overtaken(&session, &sandbox).await
    }

    /// Somebody else changed the row while the provider was at work. Another gateway may have
    /// finished the same: theirs is the outcome. A delete, or one who took it back, wins; what they
    /// removed may have been made after they looked.
    async fn overtaken(
        &self,
        session: &SessionRecord,
        sandbox: &SandboxRecord,
    ) -> Result<SandboxRecord> {
        let now = self.reload(sandbox.sandbox_id).await?;
        let unwanted = matches!(
            state(&now),
            SandboxState::Failed | SandboxState::Deleting | SandboxState::Deleted
        );
        if unwanted {
            self.remove(session, sandbox, ROLLBACK_PATIENCE).await?;
        }
        match why(&now) {
            Some(problem) if unwanted => Err(problem),
            _ => Ok(now),
        }
    }

    async fn ask_provider(
        &self,
        session: &SessionRecord,
        sandbox: &SandboxRecord,
    ) -> Result<Changes> {
        let spec = SandboxSpec::decode(sandbox.spec.as_slice())
            .map_err(|error| problem::damaged("sandbox row", &error))?;
        step::reached("gateway.create.intended")?;
        let context = self.context(session, sandbox, Key::MadeWith).await?;
        let lane = self.lane(sandbox)?;
        let answer = lane.create(&context, spec.clone(), PATIENCE).await?;
        step::reached("gateway.create.made")?;
        let mut changes = self.answered(sandbox, &answer).await?;
        spec::keep_clocks(&mut changes.spec, &spec, sandbox);
        self.used_now(sandbox).await?;
        Ok(changes)
    }

    /// Removes what a failed create may have left, and frees what the row had taken. Where the
    /// provider cannot be asked the row stays, in FAILED, until the lease task has removed it. The
    /// row, where another gateway has finished the same create: that one stays.
    async fn take_back(
        &self,
        session: &SessionRecord,
        sandbox: &SandboxRecord,
        problem: &Problem,
    ) -> Result<Option<SandboxRecord>> {
        // Marked before anything is removed, so that nobody's finished sandbox is.
        let Some(failed) = self.failed(sandbox, problem).await? else {
            return self.overtaken(session, sandbox).await.map(Some);
        };
        let removed = self.remove(session, &failed, ROLLBACK_PATIENCE).await;
        if removed.is_ok() || never_asked(problem) {
            step::reached("gateway.rollback.removed")?;
            self.forget(&failed, failed.unchanged()).await?;
        }
        Ok(None)
    }

    /// Leaves a tombstone that tells why, and takes up neither request_id nor alias.
    async fn forget(&self, sandbox: &SandboxRecord, mut changes: Changes) -> Result<()> {
        changes.state = SandboxState::Deleted.into();
        changes.delete_time = Some(self.clock.now());
        changes.provider_state = Some(Sealed::default());
        self.settle(sandbox, &mut changes);
        let event = events::changed(sandbox, &changes)?;
        let (id, version) = (sandbox.sandbox_id, sandbox.version);
        let forgotten = self
            .store
            .forget_sandbox(id, version, &changes, event.as_ref());
        forgotten.await?;
        self.routes.forget(id);
        self.release_key(sandbox).await;
        Ok(())
    }

    /// Tries once more to remove what a failed create may have left.
    pub(super) fn take_back_again(&self, session: &SessionRecord, sandbox: &SandboxRecord) {
        let (this, session, row) = (self.clone(), session.clone(), sandbox.clone());
        let work = async move {
            match this.remove(&session, &row, ROLLBACK_PATIENCE).await {
                Ok(()) => this.forget(&row, row.unchanged()).await?,
                Err(problem) => {
                    this.try_again(&row).await?;
                    tracing::debug!(sandbox_id = %row.sandbox_id, %problem, "what a failed create left cannot be removed yet");
                }
            }
            this.reload(row.sandbox_id).await
        };
        drop(self.fly(sandbox.sandbox_id, work));
    }
}

/// The provider was not even reached, so it made nothing.
pub(super) fn never_asked(problem: &Problem) -> bool {
    problem.reason() == Reason::ProviderUnavailable && problem.fact("outcome") == Some("rejected")
}
