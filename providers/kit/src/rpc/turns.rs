//! Life-cycle calls about one sandbox take turns: a delete that comes while a create is still under
//! way, because its caller lost it, must find what the create makes.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

/// Forgets sandboxes that nobody waits for whenever so many are held.
const SWEEP_AT: usize = 1024;

#[derive(Default)]
pub(super) struct Turns {
    sandboxes: Mutex<HashMap<String, Weak<Turn<()>>>>,
}

impl Turns {
    /// Waits for the calls about this sandbox that came before.
    pub(super) async fn take(&self, sandbox_id: &str) -> OwnedMutexGuard<()> {
        self.of(sandbox_id).lock_owned().await
    }

    fn of(&self, sandbox_id: &str) -> Arc<Turn<()>> {
        let mut sandboxes = self.lock();
        if let Some(turn) = sandboxes.get(sandbox_id).and_then(Weak::upgrade) {
            return turn;
        }
        if sandboxes.len() >= SWEEP_AT {
            sandboxes.retain(|_, turn| turn.strong_count() > 0);
        }
        let turn = Arc::new(Turn::new(()));
        sandboxes.insert(sandbox_id.to_owned(), Arc::downgrade(&turn));
        turn
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Weak<Turn<()>>>> {
        self.sandboxes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn one_sandbox_takes_turns_and_others_do_not_wait() {
        let turns = Turns::default();
        let first = turns.take("a").await;
        assert!(turns.take("a").now_or_never().is_none());
        assert!(turns.take("b").now_or_never().is_some());
        drop(first);
        assert!(turns.take("a").now_or_never().is_some());
    }

    #[tokio::test]
    async fn memory_is_bounded() {
        let turns = Turns::default();
        for number in 0..3 * SWEEP_AT {
            turns.take(&number.to_string()).await;
        }
        assert!(turns.lock().len() <= SWEEP_AT);
    }
}
