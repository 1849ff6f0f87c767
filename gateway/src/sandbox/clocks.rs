//! The clocks of a sandbox, told from its row: when it idles, when it counts as abandoned, when it is
//! too old. Nothing here looks at a clock or asks anybody.

use std::time::Duration;

use prost::Message as _;
use sandgate_proto::v1::{Lifecycle, SandboxSpec, SandboxState};

use super::state;
use crate::{
    clock::span,
    store::{Changes, SandboxRecord},
};

/// Longest time between two looks at a sandbox that runs, so that what ends in it is saved soon.
const LONGEST: i64 = 300_000;
/// Shortest time between two looks.
const SHORTEST: i64 = 200;
/// How far ahead a long clock warns, with some room for looks that come late.
const AHEAD: i64 = 65_000;
/// Clocks that are shorter warn at half their time.
const SHORT: i64 = 120_000;

/// Which clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Which {
    /// `max_lifetime`: too old.
    MaxLifetime,
    /// `lease_ttl`: abandoned.
    Lease,
    /// `stopped_retention`: kept long enough.
    Retention,
    /// `idle_timeout`: nothing to do.
    Idle,
    /// The upstream's own.
    Provider,
}

/// One clock that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deadline {
    pub(crate) which: Which,
    /// When it has run down.
    pub(crate) time: i64,
    /// How long it takes.
    length: i64,
}

/// The clocks of a sandbox that run in the state that it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Clocks {
    running: Vec<Deadline>,
    /// Time to the next look, however far the deadlines are.
    beat: Option<i64>,
}

impl Which {
    /// Its name on the wire.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::MaxLifetime => "MAX_LIFETIME",
            Self::Lease => "LEASE",
            Self::Retention => "RETENTION",
            Self::Idle => "IDLE",
            Self::Provider => "PROVIDER",
        }
    }
}

impl Deadline {
    fn of(which: Which, begin: i64, length: Option<i64>) -> Option<Self> {
        let length = length?;
        let time = begin.saturating_add(length);
        Some(Self {
            which,
            time,
            length,
        })
    }

    /// From when on its end is announced.
    fn warning(&self) -> i64 {
        let ahead = match self.length {
            long if long > SHORT => AHEAD,
            short => short / 2,
        };
        self.time - ahead
    }
}

impl Clocks {
    /// Those of a row.
    pub(crate) fn of(sandbox: &SandboxRecord) -> Self {
        let life = lifecycle(sandbox);
        let idle_timeout = millis(life.idle_timeout).filter(|time| *time > 0);
        let lease_ttl = millis(life.lease_ttl);
        let used = sandbox.activity_time;
        let rested = sandbox.activity_time.max(sandbox.state_time);
        let mut running = Vec::new();
        let mut beat = None;
        match state(sandbox) {
            SandboxState::Deleted | SandboxState::Deleting => {
                return Self { running, beat };
            }
            SandboxState::Running => {
                if sandbox.running == 0 {
                    running.extend(Deadline::of(Which::Idle, used, idle_timeout));
                }
                running.extend(Deadline::of(Which::Lease, used, lease_ttl));
                let shortest = [idle_timeout, lease_ttl].into_iter().flatten().min();
                beat = Some((shortest.unwrap_or(LONGEST) / 3).clamp(SHORTEST, LONGEST));
            }
            SandboxState::Stopped
            | SandboxState::Stopping
            | SandboxState::Paused
            | SandboxState::Pausing => {
                let retention = millis(life.stopped_retention);
                running.extend(Deadline::of(Which::Retention, rested, retention));
            }
            SandboxState::Failed => {
                running.extend(Deadline::of(Which::Lease, rested, lease_ttl));
            }
            _ => {}
        }
        let age = millis(life.max_lifetime);
        running.extend(Deadline::of(Which::MaxLifetime, sandbox.create_time, age));
        running.extend(sandbox.provider_expire_time.map(|time| Deadline {
            which: Which::Provider,
            time,
            length: i64::MAX,
        }));
        running.sort_by_key(|deadline| deadline.which);
        Self { running, beat }
    }

    /// When a clock will have run down.
    pub(crate) fn deadline(&self, which: Which) -> Option<i64> {
        let found = self.running.iter().find(|one| one.which == which);
        found.map(|deadline| deadline.time)
    }

    /// The clock that has run down; of several the one that means most. The upstream's own means
    /// nothing here: it is the upstream that acts on it.
    pub(crate) fn run_down(&self, now: i64) -> Option<Which> {
        let mut ours = self
            .running
            .iter()
            .filter(|one| one.which != Which::Provider);
        ours.find(|deadline| deadline.time <= now)
            .map(|deadline| deadline.which)
    }

    /// Deadlines that are near.
    pub(crate) fn near(&self, now: i64) -> impl Iterator<Item = &Deadline> {
        let near = move |one: &&Deadline| one.warning() <= now && now < one.time;
        self.running.iter().filter(near)
    }

    /// When to look at the sandbox next; none: only when somebody changes it.
    pub(crate) fn next_look(&self, now: i64) -> Option<i64> {
        let times = self.running.iter().flat_map(|one| {
            let act = (one.which != Which::Provider || one.time > now).then_some(one.time);
            let warn = Some(one.warning()).filter(|time| *time > now);
            [act, warn]
        });
        let beat = self.beat.map(|beat| now.saturating_add(beat));
        times.flatten().chain(beat).min()
    }

    /// For how long the upstream must not end it: until some looks have come.
    pub(crate) fn keep_for(&self) -> Option<Duration> {
        let beats = self.beat?.saturating_mul(4);
        Some(Duration::from_millis(u64::try_from(beats).ok()?))
    }
}

/// What the spec of a row says of its life.
pub(super) fn lifecycle(sandbox: &SandboxRecord) -> Lifecycle {
    let spec = SandboxSpec::decode(sandbox.spec.as_slice());
    spec.ok()
        .and_then(|spec| spec.lifecycle)
        .unwrap_or_default()
}

/// The changes that give a row another idle timeout; none where it has that already.
pub(super) fn with_idle_timeout(
    sandbox: &SandboxRecord,
    idle_timeout: Option<prost_types::Duration>,
) -> Option<Changes> {
    let mut spec = SandboxSpec::decode(sandbox.spec.as_slice()).ok()?;
    let life = spec.lifecycle.get_or_insert_default();
    if idle_timeout.is_none() || life.idle_timeout == idle_timeout {
        return None;
    }
    life.idle_timeout = idle_timeout;
    let mut changes = sandbox.unchanged();
    changes.spec = spec.encode_to_vec();
    Some(changes)
}

/// A length in milliseconds.
pub(super) fn millis(length: Option<prost_types::Duration>) -> Option<i64> {
    Duration::try_from(length?).ok().map(span)
}
