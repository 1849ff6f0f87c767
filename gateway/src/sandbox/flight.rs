//! One piece of work at a time for each thing, shared by all who wait for it, and not tied to any of
//! them.

use std::{
    collections::HashMap,
    future::Future,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::{FutureExt as _, future::BoxFuture, future::Shared};
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

use crate::{
    problem::{self, Result},
    store::SandboxRecord,
};

/// The outcome of a flight, for everybody who waits for it.
pub(super) type Flight<V = SandboxRecord> = Shared<BoxFuture<'static, Result<V>>>;

type Current<K, V> = Arc<Mutex<HashMap<K, Flight<V>>>>;

/// The flights of this process.
pub(super) struct Flights<K: Eq + Hash, V> {
    /// What they do, for a failure of our own.
    work: &'static str,
    tasks: TaskTracker,
    runtime: Handle,
    current: Current<K, V>,
}

impl<K, V> Flights<K, V>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// The work runs where this is called: on no worker, which ends with its connections.
    pub(super) fn new(work: &'static str, tasks: TaskTracker) -> Self {
        Self {
            work,
            tasks,
            runtime: Handle::current(),
            current: Arc::default(),
        }
    }

    /// The flight under way, if any.
    pub(super) fn current(&self, key: &K) -> Option<Flight<V>> {
        lock(&self.current).get(key).cloned()
    }

    /// What is worked on.
    pub(super) fn keys(&self) -> Vec<K> {
        lock(&self.current).keys().cloned().collect()
    }

    /// Joins the flight under way, or starts this one.
    pub(super) fn join_or_start<F>(&self, key: K, work: F) -> Flight<V>
    where
        F: Future<Output = Result<V>> + Send + 'static,
    {
        let mut current = lock(&self.current);
        if let Some(flight) = current.get(&key) {
            return flight.clone();
        }
        let landed = Landed {
            current: self.current.clone(),
            key: key.clone(),
        };
        let work = async move {
            // Removed also where the work panics, or nobody could ever start another.
            let _landed = landed;
            work.await
        };
        let what = self.work;
        let flight = self
            .tasks
            .spawn_on(work, &self.runtime)
            .map(move |done| done.unwrap_or_else(|error| Err(problem::internal(what, &error))))
            .boxed()
            .shared();
        current.insert(key, flight.clone());
        flight
    }
}

fn lock<K, V>(current: &Mutex<HashMap<K, V>>) -> MutexGuard<'_, HashMap<K, V>> {
    current.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Landed<K: Eq + Hash, V> {
    current: Current<K, V>,
    key: K,
}

impl<K: Eq + Hash, V> Drop for Landed<K, V> {
    fn drop(&mut self) {
        lock(&self.current).remove(&self.key);
    }
}
