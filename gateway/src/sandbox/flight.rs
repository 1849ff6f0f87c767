//! One piece of provider work at a time for each sandbox, shared by all who wait for it, and not
//! tied to any of them.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::{FutureExt as _, future::BoxFuture, future::Shared};
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::{
    problem::{self, Result},
    store::SandboxRecord,
};

/// The outcome of a flight, for everybody who waits for it.
pub(super) type Flight = Shared<BoxFuture<'static, Result<SandboxRecord>>>;

/// The flights of this process.
pub(super) struct Flights {
    tasks: TaskTracker,
    runtime: Handle,
    current: Arc<Mutex<HashMap<Uuid, Flight>>>,
}

impl Flights {
    /// The work runs where this is called: on no worker, which ends with its connections.
    pub(super) fn new(tasks: TaskTracker) -> Self {
        Self {
            tasks,
            runtime: Handle::current(),
            current: Arc::default(),
        }
    }

    /// The flight under way, if any.
    pub(super) fn current(&self, sandbox_id: Uuid) -> Option<Flight> {
        self.lock().get(&sandbox_id).cloned()
    }

    /// The sandboxes that are worked on.
    pub(super) fn ids(&self) -> Vec<Uuid> {
        self.lock().keys().copied().collect()
    }

    /// Joins the flight under way, or starts this one.
    pub(super) fn join_or_start<F>(&self, sandbox_id: Uuid, work: F) -> Flight
    where
        F: Future<Output = Result<SandboxRecord>> + Send + 'static,
    {
        let mut current = self.lock();
        if let Some(flight) = current.get(&sandbox_id) {
            return flight.clone();
        }
        let flights = self.current.clone();
        let work = async move {
            // Removed also where the work panics, or nobody could ever start another.
            let _landed = Landed {
                flights,
                sandbox_id,
            };
            work.await
        };
        let flight = self
            .tasks
            .spawn_on(work, &self.runtime)
            .map(|result| {
                result
                    .unwrap_or_else(|error| Err(problem::internal("sandbox work", &error)))
                    .map_err(problem::begun)
            })
            .boxed()
            .shared();
        current.insert(sandbox_id, flight.clone());
        flight
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Flight>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Landed {
    flights: Arc<Mutex<HashMap<Uuid, Flight>>>,
    sandbox_id: Uuid,
}

impl Drop for Landed {
    fn drop(&mut self) {
        self.flights
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.sandbox_id);
    }
}
