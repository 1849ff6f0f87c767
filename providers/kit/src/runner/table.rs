//! The connections to runners, one a sandbox: made on first use, closed when nobody needs them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Mutex as Gate, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Link, LinkError, connect::connect};
use sandgate_proto::Outcome;

use crate::{CallContext, Kind, Provider, ProviderError};

/// Sandboxes that may have a connection at once.
const MOST: usize = 4096;
/// How long a provider may take to reach a runner, and a caller to wait for its turn to ask.
const REACH: Duration = Duration::from_secs(15);

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum NoLink {
    /// The provider cannot reach the runner.
    Unreached(ProviderError),
    /// It reached something that is not the runner of this sandbox and generation.
    Link(LinkError),
}

impl NoLink {
    /// Whether the runner says that it serves another sandbox, or another generation of it.
    pub(crate) fn is_other_sandbox(&self) -> bool {
        matches!(self, Self::Link(LinkError::Refused(refusal)) if refusal.reason == "OTHER_SANDBOX")
    }
}

/// At most one connection, and at most one attempt to make it.
type Slot = Arc<Gate<Option<Arc<Link>>>>;

/// The table.
pub(crate) struct Links<P> {
    provider: Arc<P>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
    slots: Mutex<HashMap<String, Slot>>,
}

impl<P: Provider> Links<P> {
    /// `tasks` owns the connections' tasks, `shutdown` ends them.
    pub(crate) fn new(provider: Arc<P>, tasks: TaskTracker, shutdown: CancellationToken) -> Self {
        Self {
            provider,
            tasks,
            shutdown,
            slots: Mutex::default(),
        }
    }

    /// The connection to the sandbox's runner. Never wakes a sandbox.
    pub(crate) async fn get(&self, context: &CallContext) -> Result<Arc<Link>, NoLink> {
        let slot = self.slot(&context.sandbox_id)?;
        let mut held = timeout(REACH, slot.lock())
            .await
            .map_err(|_| NoLink::Unreached(too_slow()))?;
        if let Some(link) = &*held
            && link.is_open()
            && link.welcome().generation == context.generation
        {
            return Ok(link.clone());
        }
        *held = None;
        let link = Arc::new(self.fresh(context).await?);
        *held = Some(link.clone());
        Ok(link)
    }

    /// A connection of its own, whose welcome tells what the runner does now.
    pub(crate) async fn fresh(&self, context: &CallContext) -> Result<Link, NoLink> {
        let reached = timeout(REACH, self.provider.reach(context))
            .await
            .map_err(|_| NoLink::Unreached(too_slow()))?
            .map_err(NoLink::Unreached)?;
        let closed = self.shutdown.child_token();
        connect(reached, context, &self.tasks, closed)
            .await
            .map_err(NoLink::Link)
    }

    /// The sandbox was stopped or deleted: what its runner still says is read, but nothing more is
    /// asked on that connection.
    pub(crate) fn forget(&self, sandbox_id: &str) {
        if let Some(slot) = self.lock().remove(sandbox_id)
            && let Ok(held) = slot.try_lock()
            && let Some(link) = &*held
        {
            link.shared().retired.cancel();
        }
    }

    fn slot(&self, sandbox_id: &str) -> Result<Slot, NoLink> {
        let mut slots = self.lock();
        if let Some(slot) = slots.get(sandbox_id) {
            return Ok(slot.clone());
        }
        if slots.len() >= MOST {
            make_room(&mut slots);
        }
        if slots.len() >= MOST {
            return Err(NoLink::Unreached(ProviderError::new(
                Kind::Unavailable(Outcome::Rejected),
                "this provider has calls open to as many sandboxes as it can; repeat the call shortly",
            )));
        }
        let slot = Slot::default();
        slots.insert(sandbox_id.to_owned(), slot.clone());
        Ok(slot)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drops what is closed, and if that is not enough, what nobody uses now.
fn make_room(slots: &mut HashMap<String, Slot>) {
    let keeps = |slot: &Slot, wanted: fn(&Link) -> bool| match slot.try_lock() {
        Ok(held) => held.as_deref().is_some_and(wanted),
        // Somebody is just connecting.
        Err(_) => true,
    };
    slots.retain(|_, slot| keeps(slot, Link::is_open));
    if slots.len() < MOST {
        return;
    }
    slots.retain(|_, slot| {
        keeps(slot, |link| {
            let idle = link.shared().calls().is_idle();
            if idle {
                link.shared().closed.cancel();
            }
            !idle
        })
    });
}

fn too_slow() -> ProviderError {
    ProviderError::new(
        Kind::Unavailable(Outcome::Rejected),
        "the sandbox could not be reached in time; repeat the call",
    )
}
