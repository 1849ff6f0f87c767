//! One replica of a provider: several connections, used in turn, and what its last check said.

use std::{
    sync::{
        RwLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use sandgate_proto::{Problem, v1::Capabilities};
use sandgate_service::{PeerError, Wire, WirePeer, WorkerId};
use tokio::runtime::Handle;

/// Where connections to providers live.
pub(crate) struct Runtimes {
    /// For calls that outlive their caller.
    pub(crate) own: Handle,
    /// By worker.
    pub(crate) workers: Vec<Handle>,
}

/// Connections to one address of the configuration.
pub(crate) struct Endpoint {
    /// For the gateway's own calls, which live as long as the gateway.
    own: Wire,
    /// For relayed calls, by the worker that serves the caller: a call and its connection to the
    /// provider are on one thread.
    relayed: Vec<Vec<Wire>>,
    turn: AtomicUsize,
    seen: RwLock<Seen>,
}

/// What the last health check found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// When it was; none before the first.
    pub(crate) time: Option<SystemTime>,
    /// What went wrong.
    pub(crate) problem: Option<Problem>,
    /// What it said when it last answered.
    pub(crate) capabilities: Option<Capabilities>,
}

impl Endpoint {
    pub(super) fn new(
        peer: &WirePeer,
        connections: usize,
        runtimes: &Runtimes,
    ) -> Result<Self, PeerError> {
        let wires = |runtime: &Handle| {
            let wires = (0..connections.max(1)).map(|_| Wire::new(peer, runtime.clone()));
            wires.collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            own: Wire::new(peer, runtimes.own.clone())?,
            relayed: runtimes
                .workers
                .iter()
                .map(wires)
                .collect::<Result<_, _>>()?,
            turn: AtomicUsize::new(0),
            seen: RwLock::default(),
        })
    }

    /// A wire for calls that a worker relays; without one, for the gateway's own.
    pub(super) fn wire(&self, worker: Option<WorkerId>) -> &Wire {
        let Some(wires) = worker.and_then(|worker| self.relayed.get(worker)) else {
            return &self.own;
        };
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        wires.get(turn % wires.len()).unwrap_or(&self.own)
    }

    /// What its last check found.
    pub(crate) fn seen(&self) -> Seen {
        self.seen
            .read()
            .map(|seen| seen.clone())
            .unwrap_or_default()
    }

    /// Lower is better: well, then not checked yet, then not well; the less used one first.
    pub(super) fn rank(&self) -> (u8, usize) {
        let health = match self.seen.read() {
            Ok(seen) if seen.time.is_none() => 1,
            Ok(seen) if seen.problem.is_none() => 0,
            _ => 2,
        };
        (health, self.turn.load(Ordering::Relaxed))
    }

    pub(super) fn is_instance(&self, instance_id: &str) -> bool {
        self.seen.read().is_ok_and(|seen| {
            seen.capabilities
                .as_ref()
                .is_some_and(|seen| seen.instance_id == instance_id)
        })
    }

    /// Stores what a check found. An endpoint that is down keeps what it last said of itself.
    pub(super) fn saw(&self, result: Result<Capabilities, Problem>) {
        let Ok(mut seen) = self.seen.write() else {
            return;
        };
        seen.time = Some(SystemTime::now());
        match result {
            Ok(capabilities) => {
                seen.capabilities = Some(capabilities);
                seen.problem = None;
            }
            Err(problem) => seen.problem = Some(problem),
        }
    }
}
