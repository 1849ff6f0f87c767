//! Sessions whose time has come, and what deleted ones left.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::{clock::Clock, problem::Result, session::Removals};

/// Sessions that are worked on at the same time.
const AT_ONCE: usize = 16;
/// Sessions that expire at once.
const EXPIRE: u32 = 256;

/// Takes down what sessions leave.
pub(super) struct Cleaning {
    removals: Removals,
    clock: Clock,
    tasks: TaskTracker,
    slots: Arc<Semaphore>,
}

impl Cleaning {
    pub(super) fn new(removals: Removals, clock: Clock, tasks: TaskTracker) -> Self {
        Self {
            removals,
            clock,
            tasks,
            slots: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Begins what is due.
    pub(super) async fn look(&self) -> Result<()> {
        let now = self.clock.now();
        self.removals.expire(now, EXPIRE).await?;
        let free = u32::try_from(self.slots.available_permits()).unwrap_or_default();
        if free == 0 {
            return Ok(());
        }
        for session in self.removals.due(now, free).await? {
            let Ok(slot) = self.slots.clone().try_acquire_owned() else {
                break;
            };
            let removals = self.removals.clone();
            self.tasks.spawn(async move {
                let _slot = slot;
                if let Err(problem) = removals.clean(session, now).await {
                    tracing::warn!(%problem, "cannot clean up after a session");
                }
            });
        }
        Ok(())
    }
}
