//! Logical sandboxes: who owns them, where they are in their life, and which provider has them.
//!
//! ```text
//!               create                       stop
//!    (intent) CREATING ───────▶ RUNNING ───────────▶ STOPPING ──▶ STOPPED
//!       │  failed: taken back    ▲  │                                │
//!       ▼                        │  │ pause                          │ start
//!    DELETED, or FAILED while    │  └──────▶ PAUSING ──▶ PAUSED      │
//!    something may be left       │                         │ resume  │
//!                                └──────── STARTING ◀──────┴─────────┘
//!
//!    any of these ── vanished upstream ──▶ FAILED
//!    any of these ── delete ──▶ DELETING ──▶ DELETED (a tombstone, for a day)
//! ```
//!
//! Every arrow is a compare-and-set on the row's version, so that of two changes one wins and the
//! other looks again; a delete wins over everything. What a provider is asked runs in a flight: one
//! at a time for each sandbox, not tied to the call that began it. A row on its way from one state
//! to another is held by whoever flies it; once nobody holds it any more, another gateway finishes
//! what was begun. docs/lifecycle.md tells the whole.

mod adopt;
mod answer;
mod beat;
mod clocks;
mod closing;
mod compare;
mod context;
mod copy;
mod create;
mod creation;
mod describe;
mod elsewhere;
mod events;
mod flight;
mod look;
mod missing;
mod payload;
mod remove;
mod rest;
mod rise;
mod route;
mod routes;
mod running;
mod spec;
mod state;
mod touches;
mod uploads;
mod walk;

use std::{sync::Arc, time::Duration};

use futures::TryFutureExt as _;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

pub(crate) use compare::{Action, Comparison};
pub(crate) use copy::Road;
pub(crate) use create::{Created, wait_time};
pub(crate) use describe::describe;
pub(crate) use route::{AtRest, Needs, Target};
pub(crate) use uploads::{UPLOAD_FILES, absolute, asked as uploads_asked, failed, result};

use crate::{
    clock::{Clock, span},
    config::{LimitArgs, Pace},
    credential::Credentials,
    file::Files,
    fleet::{Fleet, Lane},
    ids::SandboxRef,
    kept::Kept,
    principal::{Owner, Principal},
    problem::{self, Result},
    replay::Replays,
    session::Sessions,
    store::{Changes, SandboxFilter, SandboxRecord, SessionRecord, Store},
    vault::Vault,
};
use clocks::Clocks;
use compare::Comparisons;
use flight::{Flight, Flights};
use routes::Routes;
use running::Started;
use state::{contended, is_on_its_way, state, state_name, was_never_made};
use touches::Touches;

/// How long a deleted sandbox is remembered.
pub(crate) const TOMBSTONE: Duration = Duration::from_secs(24 * 3600);
/// How often a change looks again because another change came first.
const TRIES: usize = 8;
/// The sandboxes of this installation. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Sandboxes {
    store: Arc<dyn Store>,
    fleet: Arc<Fleet>,
    sessions: Arc<Sessions>,
    credentials: Arc<Credentials>,
    kept: Arc<Kept>,
    files: Arc<Files>,
    replays: Arc<Replays>,
    vault: Vault,
    limits: LimitArgs,
    gateway_id: Uuid,
    flights: Arc<Flights<Uuid, SandboxRecord>>,
    routes: Arc<Routes>,
    started: Arc<Started>,
    touches: Arc<Touches>,
    comparisons: Arc<Comparisons>,
    clock: Clock,
    pace: Pace,
}

/// What sandboxes stand on.
pub(crate) struct Parts {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) credentials: Arc<Credentials>,
    pub(crate) kept: Arc<Kept>,
    pub(crate) files: Arc<Files>,
    pub(crate) replays: Arc<Replays>,
    pub(crate) vault: Vault,
    pub(crate) limits: LimitArgs,
    pub(crate) gateway_id: Uuid,
    pub(crate) clock: Clock,
    pub(crate) pace: Pace,
}

impl Sandboxes {
    pub(crate) fn new(parts: Parts, tasks: TaskTracker) -> Self {
        Self {
            store: parts.store,
            fleet: parts.fleet,
            sessions: parts.sessions,
            credentials: parts.credentials,
            kept: parts.kept,
            files: parts.files,
            replays: parts.replays,
            vault: parts.vault,
            limits: parts.limits,
            gateway_id: parts.gateway_id,
            flights: Arc::new(Flights::new("sandbox work", tasks.clone())),
            routes: Arc::default(),
            started: Arc::default(),
            touches: Arc::default(),
            comparisons: Arc::new(Comparisons::new("comparison", tasks)),
            clock: parts.clock,
            pace: parts.pace,
        }
    }

    /// A sandbox of a session of the caller's own, tombstones included.
    pub(crate) async fn find(
        &self,
        principal: &Principal,
        session_id: Uuid,
        wanted: &SandboxRef,
    ) -> Result<(SessionRecord, SandboxRecord)> {
        let session = self.sessions.get(principal, session_id).await?;
        let found = match wanted {
            SandboxRef::Id(id) => self.store.sandbox(*id).await,
            SandboxRef::Alias(alias) => self.store.sandbox_by_alias(session_id, alias).await,
            SandboxRef::Default => return Err(problem::no_default_sandbox()),
        };
        let oldest = self.clock.now() - span(TOMBSTONE);
        let sandbox = found?
            .filter(|sandbox| sandbox.session_id == session_id)
            .filter(|sandbox| sandbox.delete_time.is_none_or(|time| time > oldest))
            .ok_or_else(|| problem::sandbox_not_found(wanted))?;
        Ok((session, sandbox))
    }

    /// Sandboxes as they were last known, newest first.
    pub(crate) async fn list(
        &self,
        principal: &Principal,
        filter: SandboxFilter,
    ) -> Result<Vec<SandboxRecord>> {
        if let Some(session_id) = filter.session_id {
            self.sessions.get(principal, session_id).await?;
        }
        self.store.list_sandboxes(&filter).await.map_err(Into::into)
    }

    /// All sandboxes of a session that are not gone.
    pub(crate) async fn of_session(&self, session: &SessionRecord) -> Result<Vec<SandboxRecord>> {
        let filter = SandboxFilter {
            owner: Owner {
                org_id: session.org_id.clone(),
                user_id: session.user_id.clone(),
            },
            session_id: Some(session.session_id),
            provider: String::new(),
            states: Vec::new(),
            labels: Default::default(),
            after: None,
            limit: u32::MAX,
        };
        self.store.list_sandboxes(&filter).await.map_err(Into::into)
    }

    /// Forgets the ways to the sandboxes of a session that was changed.
    pub(crate) fn forget_session(&self, session_id: Uuid) {
        self.routes.forget_session(session_id);
    }

    /// A user has a key that calls which went without may need from now on.
    pub(crate) fn key_was_set(&self) {
        self.routes.forget_all();
    }

    /// Applies changes to a row that nobody changed since; none where somebody did. When to look at
    /// it next follows from what it is then.
    async fn change(
        &self,
        sandbox: &SandboxRecord,
        mut changes: Changes,
    ) -> Result<Option<SandboxRecord>> {
        self.settle(sandbox, &mut changes);
        let event = events::changed(sandbox, &changes)?;
        let changed = self
            .store
            .change_sandbox(
                sandbox.sandbox_id,
                sandbox.version,
                &changes,
                event.as_ref(),
            )
            .await?;
        self.routes.forget(sandbox.sandbox_id);
        Ok(changed)
    }

    /// Fills in what follows from the other changes.
    fn settle(&self, sandbox: &SandboxRecord, changes: &mut Changes) {
        let now = self.clock.now();
        if changes.state != sandbox.state {
            changes.state_time = now;
            changes.tries = 0;
        }
        changes.due_time = self.due(&sandbox.changed(changes), now);
    }

    /// When to look at a row next.
    fn due(&self, sandbox: &SandboxRecord, now: i64) -> Option<i64> {
        if is_on_its_way(state(sandbox)) {
            return Some(now + span(self.pace.takeover));
        }
        if was_never_made(sandbox) {
            return Some(now + self.pace.retry(sandbox.tries));
        }
        Clocks::of(sandbox).next_look(now)
    }

    /// Joins what is under way with a sandbox, or starts this.
    fn fly<F>(&self, sandbox_id: Uuid, work: F) -> Flight
    where
        F: Future<Output = Result<SandboxRecord>> + Send + 'static,
    {
        let work = work.map_err(problem::begun);
        self.flights.join_or_start(sandbox_id, work)
    }

    /// Has the lease task try once more what was in vain: later each time.
    async fn try_again(&self, sandbox: &SandboxRecord) -> Result<()> {
        let next = self.clock.now() + self.pace.retry(sandbox.tries);
        let postponed = self.store.postpone(sandbox.sandbox_id, next).await;
        postponed.map_err(Into::into)
    }

    async fn reload(&self, sandbox_id: Uuid) -> Result<SandboxRecord> {
        let found = self.store.sandbox(sandbox_id).await?;
        found.ok_or_else(|| problem::sandbox_not_found(sandbox_id))
    }

    fn lane(&self, sandbox: &SandboxRecord) -> Result<Lane> {
        self.fleet
            .provider(&sandbox.provider)?
            .lane(&sandbox.instance_id, None)
    }
}
