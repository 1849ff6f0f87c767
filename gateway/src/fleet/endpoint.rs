//! One replica of a provider: several connections, used in turn, and what its last check said.

use std::{
    sync::{
        RwLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use sandgate_proto::{Problem, v1::Capabilities};
use sandgate_service::{ChannelError, ChannelPeer, connect_lazily};
use tonic::transport::Channel;

/// Connections to one address of the configuration.
pub(crate) struct Endpoint {
    /// One connection serialises on one task, so there are several.
    channels: Vec<Channel>,
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
    pub(super) fn new(peer: &ChannelPeer, connections: usize) -> Result<Self, ChannelError> {
        let channels = (0..connections).map(|_| connect_lazily(peer));
        Ok(Self {
            channels: channels.collect::<Result<_, _>>()?,
            turn: AtomicUsize::new(0),
            seen: RwLock::default(),
        })
    }

    pub(super) fn channel(&self) -> Channel {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        self.channels[turn % self.channels.len()].clone()
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
