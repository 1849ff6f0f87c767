//! The task that ends what nobody ends: sessions whose time has come, and what deleted ones left.

use std::sync::Arc;

use sandgate_service::Drain;
use tokio::{sync::Semaphore, time::sleep};
use tokio_util::task::TaskTracker;

use crate::{clock, config::Pace, problem::Result, session::Removals};

/// Sessions that are worked on at the same time.
const AT_ONCE: usize = 16;
/// Sessions that expire at once.
const EXPIRE: u32 = 256;

/// Looks for work until the drain begins. What was begun goes on after that, in `tasks`.
pub(crate) async fn watch(removals: Removals, pace: Pace, tasks: TaskTracker, drain: Drain) {
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    while !drain.is_started() {
        if let Err(problem) = look(&removals, &tasks, &slots).await {
            tracing::warn!(%problem, "cannot look for sessions to clean up after");
        }
        tokio::select! {
            () = sleep(pace.interval) => {}
            () = drain.started() => {}
        }
    }
}

async fn look(removals: &Removals, tasks: &TaskTracker, slots: &Arc<Semaphore>) -> Result<()> {
    removals.expire(clock::now(), EXPIRE).await?;
    let free = u32::try_from(slots.available_permits()).unwrap_or_default();
    if free == 0 {
        return Ok(());
    }
    for session in removals.due(clock::now(), free).await? {
        let Ok(slot) = slots.clone().try_acquire_owned() else {
            break;
        };
        let removals = removals.clone();
        tasks.spawn(async move {
            let _slot = slot;
            if let Err(problem) = removals.clean(session, clock::now()).await {
                tracing::warn!(%problem, "cannot clean up after a session");
            }
        });
    }
    Ok(())
}
