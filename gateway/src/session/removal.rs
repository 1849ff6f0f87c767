//! The end of a session: it is gone at once, and what it owned is taken down after it.
//!
//! Who deletes a session has its clean-up claimed by the same statement. What a claim could not
//! finish is given back, to be tried again later, by any gateway on the store.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::{StreamExt as _, stream};
use tokio::{runtime::Handle, sync::watch, time::timeout};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::Sessions;
use crate::{
    clock::{self, span},
    config::Pace,
    principal::Principal,
    problem::{self, Result},
    sandbox::Sandboxes,
    store::{SessionRecord, Store},
};

/// Sandboxes of one session that are deleted at the same time.
const DELETES: usize = 8;
/// How long one claim works; longer than a provider may take to delete a sandbox.
const WORK: Duration = Duration::from_secs(150);
/// How long a claim holds: nobody else works on the same, unless the claimer is dead.
const CLAIM: Duration = Duration::from_secs(180);

/// What else belongs to a session and ends with it.
#[async_trait]
pub(crate) trait Owned: Send + Sync + 'static {
    /// Forgets all that is the session's. Called again until it has worked.
    async fn forget_session(&self, session: &SessionRecord) -> Result<()>;
}

/// Ends sessions. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Removals {
    store: Arc<dyn Store>,
    sessions: Arc<Sessions>,
    sandboxes: Sandboxes,
    belongings: Arc<Belongings>,
    tasks: TaskTracker,
    runtime: Handle,
    pace: Pace,
}

/// What belongs to sessions besides their sandboxes.
pub(crate) struct Belongings {
    /// What goes first, however long a sandbox stays.
    pub(crate) at_once: Vec<Arc<dyn Owned>>,
    /// What the sandboxes may need until they are gone, and what comes of them as they go.
    pub(crate) after_sandboxes: Vec<Arc<dyn Owned>>,
}

/// Sandboxes that are not gone yet.
type Pending = watch::Sender<Vec<Uuid>>;

impl Removals {
    /// The work runs where this is called: on no worker, which ends with its connections.
    pub(crate) fn new(
        store: Arc<dyn Store>,
        sessions: Arc<Sessions>,
        sandboxes: Sandboxes,
        belongings: Belongings,
        tasks: TaskTracker,
        pace: Pace,
    ) -> Self {
        Self {
            store,
            sessions,
            sandboxes,
            belongings: Arc::new(belongings),
            tasks,
            runtime: Handle::current(),
            pace,
        }
    }

    /// Deletes a session of the caller's own; the sandboxes that could not be deleted in time.
    pub(crate) async fn delete(
        &self,
        principal: &Principal,
        session_id: Uuid,
    ) -> Result<Vec<Uuid>> {
        let session = self.sessions.get(principal, session_id).await?;
        let now = clock::now();
        let claimed = now + span(CLAIM);
        let event = crate::watch::session_deleted(session_id);
        let deleted = self
            .store
            .delete_session(session_id, now, claimed, Some(&event));
        if !deleted.await? {
            return Err(problem::session_not_found(session_id));
        }
        self.sandboxes.forget_session(session_id);
        let (pending, seen) = watch::channel(Vec::new());
        let work = self.clone().work(session, claimed, pending);
        let work = self.tasks.spawn_on(work, &self.runtime);
        // Dropping the handle does not end the work.
        let _ = timeout(self.pace.delete_wait, work).await;
        let left = seen.borrow().clone();
        Ok(left)
    }

    /// Marks the sessions deleted whose time has come.
    pub(crate) async fn expire(&self, now: i64, limit: u32) -> Result<()> {
        let event = crate::watch::session_deleted;
        for session_id in self.store.expire_sessions(now, limit, event).await? {
            tracing::info!(%session_id, "session has expired");
            self.sandboxes.forget_session(session_id);
        }
        Ok(())
    }

    /// Sessions of which something may be left, and nobody works on it.
    pub(crate) async fn due(&self, now: i64, limit: u32) -> Result<Vec<SessionRecord>> {
        let due = self.store.sessions_to_clean(now, limit).await;
        due.map_err(Into::into)
    }

    /// Takes down what is left of a session, unless another gateway was faster to claim that.
    pub(crate) async fn clean(self, session: SessionRecord, now: i64) -> Result<()> {
        let Some(seen) = session.cleanup_time else {
            return Ok(());
        };
        let claimed = now + span(CLAIM);
        let won = self.store.claim_cleanup(session.session_id, seen, claimed);
        if won.await? {
            self.work(session, claimed, watch::Sender::default()).await;
        }
        Ok(())
    }

    async fn work(self, session: SessionRecord, claimed: i64, pending: Pending) {
        let session_id = session.session_id;
        match self.finish(&session, claimed, &pending).await {
            Ok(true) => tracing::debug!(%session_id, "nothing is left of the session"),
            Ok(false) => {
                tracing::warn!(%session_id, tries = session.cleanup_tries, "some of a deleted session is not gone yet")
            }
            Err(problem) => {
                tracing::warn!(%session_id, %problem, "cannot clean up after a session")
            }
        }
    }

    /// Tries once; whether all is gone.
    async fn finish(
        &self,
        session: &SessionRecord,
        claimed: i64,
        pending: &Pending,
    ) -> Result<bool> {
        let done = timeout(WORK, self.take_down(session, pending)).await;
        let id = session.session_id;
        if matches!(done, Ok(Ok(true))) && self.store.end_cleanup(id, claimed).await? {
            return Ok(true);
        }
        let next = clock::now() + self.pace.retry(session.cleanup_tries);
        self.store.postpone_cleanup(id, claimed, next).await?;
        if let Ok(Err(problem)) = done {
            return Err(problem);
        }
        Ok(false)
    }

    /// Forgets what needs no sandbox, deletes the sandboxes, then forgets all else; whether that was
    /// all of it.
    async fn take_down(&self, session: &SessionRecord, pending: &Pending) -> Result<bool> {
        let rows = self.sandboxes.of_session(session).await?;
        pending.send_replace(rows.iter().map(|row| row.sandbox_id).collect());
        for owned in &self.belongings.at_once {
            owned.forget_session(session).await?;
        }
        stream::iter(rows)
            .for_each_concurrent(DELETES, |row| async move {
                let sandbox_id = row.sandbox_id;
                match self.sandboxes.delete(session, row).await {
                    Ok(_) => pending.send_modify(|left| left.retain(|id| *id != sandbox_id)),
                    Err(problem) => {
                        tracing::warn!(%sandbox_id, %problem, "sandbox of a deleted session is not gone yet");
                    }
                }
            })
            .await;
        if !pending.borrow().is_empty() {
            return Ok(false);
        }
        for owned in &self.belongings.after_sandboxes {
            owned.forget_session(session).await?;
        }
        Ok(true)
    }
}
