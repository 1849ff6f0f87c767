//! Removes objects that no file has: what broken writes left, and what was replaced or deleted.

use std::{sync::Arc, time::Duration};

use sandgate_service::Drain;
use tokio::time::sleep;

use super::Files;
use crate::{
    clock::{self, span},
    problem::Result,
};

/// Time between two looks where nobody says that something is due.
pub(super) const INTERVAL: Duration = Duration::from_secs(10);
/// Time until the next try to remove what could not be removed.
const AGAIN: Duration = Duration::from_secs(60);
/// Objects that are removed in one round.
const BATCH: u32 = 100;

impl Files {
    /// Sweeps until the drain begins.
    pub(crate) async fn keep_clean(self: Arc<Self>, drain: Drain) {
        while !drain.is_started() {
            match self.sweep(clock::now()).await {
                Ok(swept) if swept == BATCH as usize => continue,
                Ok(_) => {}
                Err(problem) => tracing::warn!(%problem, "cannot remove what no session file has"),
            }
            tokio::select! {
                () = self.due.notified() => {}
                () = sleep(INTERVAL) => {}
                () = drain.started() => {}
            }
        }
    }

    /// One round: removes what is due by then; how many objects are gone.
    pub(super) async fn sweep(&self, now: i64) -> Result<usize> {
        let again = now.saturating_add(span(AGAIN));
        let due = self.store.due_parts(now, again, BATCH).await?;
        let keys: Vec<String> = due.into_iter().map(|part| part.object_key).collect();
        if keys.is_empty() {
            return Ok(0);
        }
        let gone = self.objects.remove(keys).await;
        self.store.drop_parts(&gone).await?;
        Ok(gone.len())
    }
}
