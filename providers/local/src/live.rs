//! What is in memory of each sandbox: its lock and its running commands.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::{OnceCell, RwLock};
use uuid::Uuid;

use crate::{bwrap::UserNamespace, namespace::Namespace};

/// All sandboxes that were touched since the start and are still there.
#[derive(Debug, Default)]
pub(crate) struct Live {
    slots: Mutex<HashMap<Uuid, Arc<Slot>>>,
}

/// One sandbox.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    /// Held for writing while the sandbox changes, for reading while a command starts in it.
    pub(crate) life: RwLock<()>,
    /// Made by the first command that needs it.
    pub(crate) users: OnceCell<UserNamespace>,
    running: Mutex<HashMap<u64, Arc<Namespace>>>,
    next: AtomicU64,
}

impl Live {
    /// The sandbox's slot.
    pub(crate) fn slot(&self, sandbox: Uuid) -> Arc<Slot> {
        self.lock().entry(sandbox).or_default().clone()
    }

    /// Drops the slot of a sandbox that is gone, unless another call is using it too.
    pub(crate) fn forget(&self, sandbox: Uuid, slot: Arc<Slot>) {
        let mut slots = self.lock();
        // Ours and the map's: nobody can get another one while the map is locked.
        if Arc::strong_count(&slot) == 2 {
            slots.remove(&sandbox);
        }
        drop(slot);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Arc<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// Counts a command in, until the registration is dropped.
    pub(crate) fn register(self: &Arc<Self>, namespace: Arc<Namespace>) -> Registration {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.lock().insert(number, namespace);
        Registration {
            slot: self.clone(),
            number,
        }
    }

    /// The commands that run now.
    pub(crate) fn running(&self) -> Vec<Arc<Namespace>> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Namespace>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// That a command is among the running ones of its sandbox.
#[derive(Debug)]
pub(crate) struct Registration {
    slot: Arc<Slot>,
    number: u64,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.slot.lock().remove(&self.number);
    }
}
