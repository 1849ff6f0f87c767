//! The exposed ports of all sandboxes.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
    time::SystemTime,
};

use tokio::{
    net::TcpListener,
    sync::{Notify, Semaphore},
    task::JoinHandle,
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{PortArgs, forward::Forward, places::Places, too_many, watch::watch};
use crate::{CallContext, PortAddress, Provider, ProviderError, descriptors::room};

/// Ports of one sandbox, and of all.
const OF_ONE: usize = 32;
const OF_ALL: usize = 2048;
/// Connections to those of one sandbox, and to all.
const CONNECTIONS_OF_ONE: usize = 256;
const CONNECTIONS: usize = 2048;
/// What a connection takes of descriptors, with both sides; ports and connections each get a part of
/// what there is, and the last quarter is for all else.
const OF_A_CONNECTION: usize = 2;
const SHARE_OF_PORTS: (usize, usize) = (1, 4);
const SHARE_OF_CONNECTIONS: (usize, usize) = (2, 4);

/// The ports of one life of a sandbox.
pub(super) struct Held {
    generation: u64,
    ports: BTreeMap<u16, Exposed>,
    /// Rung where the sandbox may be gone.
    doubt: Arc<Notify>,
    /// Connections that its ports may have.
    room: Arc<Semaphore>,
    /// It was paused when it was looked at last.
    is_paused: Arc<AtomicBool>,
    /// Ends all of it.
    end: CancellationToken,
}

struct Exposed {
    url: String,
    expires: Instant,
    /// The same, as callers are told.
    expire_time: SystemTime,
    end: CancellationToken,
    /// Ends when nobody listens any more.
    served: JoinHandle<()>,
}

impl Exposed {
    /// Takes the address away; when this is over nobody listens there.
    async fn end(self) {
        self.end.cancel();
        if let Err(error) = self.served.await {
            tracing::error!(%error, url = self.url, "a forward panicked");
        }
    }

    fn address(&self, port: u16) -> PortAddress {
        PortAddress {
            port,
            url: self.url.clone(),
            headers: Vec::new(),
            expire_time: Some(self.expire_time),
        }
    }
}

/// The table.
pub(crate) struct Ports<P> {
    provider: Arc<P>,
    args: PortArgs,
    places: Places,
    tasks: TaskTracker,
    shutdown: CancellationToken,
    /// Ports that there may be, and connections.
    most: usize,
    room: Arc<Semaphore>,
    held: Mutex<HashMap<String, Held>>,
}

impl<P: Provider> Ports<P> {
    /// `tasks` owns what is spawned, `shutdown` ends it.
    pub(crate) fn new(
        provider: Arc<P>,
        args: PortArgs,
        tasks: TaskTracker,
        shutdown: CancellationToken,
    ) -> Self {
        let connections = room(OF_A_CONNECTION, SHARE_OF_CONNECTIONS).min(CONNECTIONS);
        Self {
            provider,
            most: room(1, SHARE_OF_PORTS).min(OF_ALL),
            places: Places::new(args.clone()),
            args,
            tasks,
            shutdown,
            room: Arc::new(Semaphore::new(connections)),
            held: Mutex::default(),
        }
    }

    /// Exposes a port of a sandbox that runs, or finds that it is exposed; near its end its life is
    /// made longer.
    pub(crate) fn expose(
        self: &Arc<Self>,
        context: &CallContext,
        port: u16,
    ) -> Result<PortAddress, ProviderError> {
        let (lifetime, now) = (self.args.lifetime(), Instant::now());
        let mut held = self.lock();
        let all: usize = held.values().map(|held| held.ports.len()).sum();
        let own = self.of_this_life(&mut held, context);
        if let Some(exposed) = own.ports.get_mut(&port) {
            if exposed.expires < now + lifetime / 2 {
                exposed.expires = now + lifetime;
                exposed.expire_time = SystemTime::now() + lifetime;
            }
            return Ok(exposed.address(port));
        }
        if own.ports.len() >= OF_ONE {
            return Err(
                too_many("32 ports of this sandbox are exposed; unexpose one")
                    .with("limit", OF_ONE),
            );
        }
        if all >= self.most {
            let message = "this provider has as many ports exposed as it can; unexpose one, or try again later";
            return Err(too_many(message).with("limit", self.most));
        }
        let listener = self.places.take()?;
        let end = own.end.child_token();
        let exposed = Exposed {
            url: self.places.url(listener.local_addr().map_err(unknown)?),
            expires: now + lifetime,
            expire_time: SystemTime::now() + lifetime,
            served: self.begin(context, port, listener, own, end.clone()),
            end,
        };
        let address = exposed.address(port);
        own.ports.insert(port, exposed);
        Ok(address)
    }

    fn begin(
        &self,
        context: &CallContext,
        port: u16,
        listener: TcpListener,
        own: &Held,
        end: CancellationToken,
    ) -> JoinHandle<()> {
        let forward = Forward {
            provider: self.provider.clone(),
            context: context.clone(),
            port,
            tasks: self.tasks.clone(),
            room: [own.room.clone(), self.room.clone()],
            doubt: own.doubt.clone(),
            is_paused: own.is_paused.clone(),
            end,
            is_full: AtomicBool::new(false),
        };
        self.tasks.spawn(forward.serve(listener))
    }

    /// What is held of the sandbox as it lives now; what was of an earlier life ends.
    fn of_this_life<'a>(
        self: &Arc<Self>,
        held: &'a mut HashMap<String, Held>,
        context: &CallContext,
    ) -> &'a mut Held {
        let id = &context.sandbox_id;
        if let Some(own) = held.get(id)
            && own.generation != context.generation
        {
            own.end.cancel();
            held.remove(id);
        }
        held.entry(id.clone()).or_insert_with(|| {
            let own = Held {
                generation: context.generation,
                ports: BTreeMap::new(),
                doubt: Arc::default(),
                room: Arc::new(Semaphore::new(CONNECTIONS_OF_ONE)),
                is_paused: Arc::default(),
                end: self.shutdown.child_token(),
            };
            let watched = watch(
                self.clone(),
                context.clone(),
                (own.doubt.clone(), own.is_paused.clone()),
                own.end.clone(),
            );
            self.tasks.spawn(watched);
            own
        })
    }

    /// The exposed ports of a sandbox behind this one, by number.
    pub(crate) fn list(&self, context: &CallContext) -> Vec<PortAddress> {
        let held = self.lock();
        let own = held.get(&context.sandbox_id);
        let own = own.filter(|own| own.generation == context.generation);
        let ports = own.into_iter().flat_map(|own| &own.ports);
        let now = Instant::now();
        ports
            .filter(|(_, exposed)| exposed.expires > now)
            .map(|(port, exposed)| exposed.address(*port))
            .collect()
    }

    /// Takes an address away, with the connections that came by it.
    pub(crate) async fn unexpose(&self, context: &CallContext, port: u16) {
        let exposed = {
            let mut held = self.lock();
            let own = held.get_mut(&context.sandbox_id);
            own.and_then(|own| own.ports.remove(&port))
        };
        if let Some(exposed) = exposed {
            exposed.end().await;
        }
    }

    /// The sandbox was stopped, or is gone.
    pub(crate) async fn close(&self, sandbox_id: &str) {
        let own = self.lock().remove(sandbox_id);
        end(own).await;
    }

    /// The same, unless what `end` stands for is over already.
    pub(super) async fn close_this(&self, sandbox_id: &str, of: &CancellationToken) {
        let own = {
            let mut held = self.lock();
            match of.is_cancelled() {
                true => None,
                false => held.remove(sandbox_id),
            }
        };
        end(own).await;
    }

    /// Ends what is over by now, of what `end` stands for; the next end, or none: nothing is left.
    pub(super) fn expire(&self, sandbox_id: &str, end: &CancellationToken) -> Option<Instant> {
        let mut held = self.lock();
        // Another life of the sandbox has another watchman.
        let own = held.get_mut(sandbox_id).filter(|_| !end.is_cancelled())?;
        let now = Instant::now();
        own.ports.retain(|_, exposed| {
            let lives = exposed.expires > now;
            if !lives {
                exposed.end.cancel();
            }
            lives
        });
        let next = own.ports.values().map(|exposed| exposed.expires).min();
        if next.is_none() {
            own.end.cancel();
            held.remove(sandbox_id);
        }
        next
    }

    pub(super) fn provider(&self) -> &P {
        &self.provider
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends all that was held. The last to be ended is the watchman, who may be the caller.
async fn end(own: Option<Held>) {
    let Some(Held { ports, end, .. }) = own else {
        return;
    };
    let _watchman = end.drop_guard();
    // Whoever asked for it may go away while one of them is waited for.
    for exposed in ports.values() {
        exposed.end.cancel();
    }
    for exposed in ports.into_values() {
        exposed.end().await;
    }
}

fn unknown(error: std::io::Error) -> ProviderError {
    ProviderError::new(
        crate::Kind::Internal,
        "the port's address cannot be told; repeat the call",
    )
    .caused_by(error)
}
