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

/// The routes of this process.
#[derive(Default)]
pub(super) struct Routes(RwLock<Known>);

#[derive(Default)]
struct Known {
    targets: HashMap<Uuid, (Instant, Arc<Target>)>,
    /// Counts what was forgotten.
    forgotten: u64,
}

impl Routes {
    /// To be read before the rows that a new route is made of.
    pub(super) fn forgotten(&self) -> u64 {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.forgotten
    }

    /// The route to a sandbox, if it was found within the last second.
    pub(super) fn get(&self, sandbox_id: Uuid) -> Option<Arc<Target>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let (found, target) = known.targets.get(&sandbox_id)?;
        (found.elapsed() < AGE).then(|| target.clone())
    }

    /// Keeps a route, unless something was forgotten since `forgotten`: it may be old then.
    pub(super) fn insert(&self, sandbox_id: Uuid, target: Arc<Target>, forgotten: u64) {
        let mut known = self.write();
        if known.forgotten != forgotten {
            return;
        }
        let targets = &mut known.targets;
        if targets.len() >= MOST {
            targets.retain(|_, (found, _)| found.elapsed() < AGE);
        }
        if targets.len() >= MOST {
            targets.clear();
        }
        targets.insert(sandbox_id, (Instant::now(), target));
    }

    /// Forgets a sandbox that this process changed.
    pub(super) fn forget(&self, sandbox_id: Uuid) {
        let mut known = self.write();
        known.forgotten += 1;
        known.targets.remove(&sandbox_id);
    }

    /// Forgets all, since what they were found by has changed.
    pub(super) fn forget_all(&self) {
        let mut known = self.write();
        known.forgotten += 1;
        known.targets.clear();
    }

    /// Forgets the sandboxes of a session that this process changed.
    pub(super) fn forget_session(&self, session_id: Uuid) {
        let mut known = self.write();
        known.forgotten += 1;
        known
            .targets
            .retain(|_, (_, target)| target.session_id() != session_id);
    }

    fn write(&self) -> RwLockWriteGuard<'_, Known> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}
