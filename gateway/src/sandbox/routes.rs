//! Routes that were found a moment ago, so that most relayed calls touch no database.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock, RwLockWriteGuard},
    time::{Duration, Instant},
};

use uuid::Uuid;

use super::Target;

/// How many are kept.
const MOST: usize = 100_000;
/// How long another gateway's change may go unseen.
const AGE: Duration = Duration::from_secs(1);

/// The routes of this process, by sandbox.
#[derive(Default)]
pub(super) struct Routes(RwLock<HashMap<Uuid, (Instant, Arc<Target>)>>);

impl Routes {
    /// The route to a sandbox, if it was found within the last second.
    pub(super) fn get(&self, sandbox_id: Uuid) -> Option<Arc<Target>> {
        let routes = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let (found, target) = routes.get(&sandbox_id)?;
        (found.elapsed() < AGE).then(|| target.clone())
    }

    pub(super) fn insert(&self, sandbox_id: Uuid, target: Arc<Target>) {
        let mut routes = self.write();
        if routes.len() >= MOST {
            routes.retain(|_, (found, _)| found.elapsed() < AGE);
        }
        if routes.len() >= MOST {
            routes.clear();
        }
        routes.insert(sandbox_id, (Instant::now(), target));
    }

    /// Forgets a sandbox that this process changed.
    pub(super) fn forget(&self, sandbox_id: Uuid) {
        self.write().remove(&sandbox_id);
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<Uuid, (Instant, Arc<Target>)>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}
