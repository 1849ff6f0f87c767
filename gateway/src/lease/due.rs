//! Sandboxes whose look is due: claimed, looked at side by side, and written down together.

use std::sync::Arc;

use futures::{StreamExt as _, future, stream};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::{
    problem::Result,
    sandbox::Sandboxes,
    store::{Looked, SandboxRecord, Store},
};

/// Sandboxes that are claimed together.
const BATCH: u32 = 256;
/// Batches under way: one whose provider is slow does not keep the others waiting.
const BATCHES: usize = 8;
/// Sandboxes of a batch that are looked at at the same time.
const AT_ONCE: usize = 32;

/// The looks of this process.
pub(super) struct Looks {
    sandboxes: Sandboxes,
    store: Arc<dyn Store>,
    tasks: TaskTracker,
    batches: Arc<Semaphore>,
}

impl Looks {
    pub(super) fn new(sandboxes: Sandboxes, store: Arc<dyn Store>, tasks: TaskTracker) -> Self {
        Self {
            sandboxes,
            store,
            tasks,
            batches: Arc::new(Semaphore::new(BATCHES)),
        }
    }

    /// Begins to look at what is due at this time.
    pub(super) async fn look(&self, now: i64) -> Result<()> {
        while let Ok(slot) = self.batches.clone().try_acquire_owned() {
            let due = self.sandboxes.due_at(now, BATCH).await?;
            let more = due.len() == BATCH as usize;
            if !due.is_empty() {
                let (sandboxes, store) = (self.sandboxes.clone(), self.store.clone());
                self.tasks.spawn(async move {
                    let _slot = slot;
                    batch(&sandboxes, &*store, due).await;
                });
            }
            if !more {
                break;
            }
        }
        Ok(())
    }
}

async fn batch(sandboxes: &Sandboxes, store: &dyn Store, due: Vec<SandboxRecord>) {
    let looks: Vec<Looked> = stream::iter(due)
        .map(|row| async move {
            let sandbox_id = row.sandbox_id;
            sandboxes.tend(row).await.unwrap_or_else(|problem| {
                // Looked at again when the claim is over.
                tracing::warn!(%sandbox_id, %problem, "cannot look after a sandbox");
                None
            })
        })
        .buffer_unordered(AT_ONCE)
        .filter_map(future::ready)
        .collect()
        .await;
    if looks.is_empty() {
        return;
    }
    if let Err(error) = store.finish_looks(&looks).await {
        tracing::warn!(%error, "what was found about sandboxes was not written");
    }
}
