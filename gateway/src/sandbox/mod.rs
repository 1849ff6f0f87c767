//! Logical sandboxes: who owns them, where they are in their life, and which provider has them.
//!
//! ```text
//!              create                       stop
//!   (intent) CREATING ───────▶ RUNNING ───────────▶ STOPPING ──▶ STOPPED
//!      │  failed: taken back      ▲                                 │
//!      ▼                          └──────────── STARTING ◀──────────┘ start
//!   no row, or FAILED if what was made could not be taken back
//!
//!   any of these ── delete ──▶ DELETING ──▶ DELETED (a tombstone)
//! ```
//!
//! Every arrow is a compare-and-set on the row's version, so that of two changes one wins and the
//! other looks again. What a provider is asked runs in a flight: one at a time for each sandbox, not
//! tied to the call that began it.

mod context;
mod create;
mod describe;
mod events;
mod flight;
mod life;
mod payload;
mod remove;
mod route;
mod routes;
mod running;
mod spec;

use std::sync::Arc;

use prost::Message as _;
use sandgate_proto::v1::{Sandbox, SandboxState};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

pub(crate) use describe::describe;
pub(crate) use route::{Needs, Target};

use crate::{
    config::LimitArgs,
    credential::Credentials,
    fleet::{Answer, Fleet, Lane},
    ids::SandboxRef,
    principal::{Owner, Principal},
    problem::{self, Result},
    session::Sessions,
    store::{Changes, SandboxFilter, SandboxRecord, SessionRecord, Store},
    vault::Vault,
};
use flight::Flights;
use routes::Routes;
use running::Started;

/// The sandboxes of this installation. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Sandboxes {
    store: Arc<dyn Store>,
    fleet: Arc<Fleet>,
    sessions: Arc<Sessions>,
    credentials: Arc<Credentials>,
    vault: Vault,
    limits: LimitArgs,
    gateway_id: Uuid,
    flights: Arc<Flights>,
    routes: Arc<Routes>,
    started: Arc<Started>,
}

/// What sandboxes stand on.
pub(crate) struct Parts {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) credentials: Arc<Credentials>,
    pub(crate) vault: Vault,
    pub(crate) limits: LimitArgs,
    pub(crate) gateway_id: Uuid,
}

impl Sandboxes {
    pub(crate) fn new(parts: Parts, tasks: TaskTracker) -> Self {
        Self {
            store: parts.store,
            fleet: parts.fleet,
            sessions: parts.sessions,
            credentials: parts.credentials,
            vault: parts.vault,
            limits: parts.limits,
            gateway_id: parts.gateway_id,
            flights: Arc::new(Flights::new(tasks)),
            routes: Arc::default(),
            started: Arc::default(),
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
        let sandbox = found?
            .filter(|sandbox| sandbox.session_id == session_id)
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

    /// Applies changes to a row that nobody changed since; none where somebody did.
    async fn change(
        &self,
        sandbox: &SandboxRecord,
        changes: &Changes,
    ) -> Result<Option<SandboxRecord>> {
        let event = events::changed(sandbox, changes)?;
        let changed = self
            .store
            .change_sandbox(sandbox.sandbox_id, sandbox.version, changes, event.as_ref())
            .await?;
        self.routes.forget(sandbox.sandbox_id);
        Ok(changed)
    }

    async fn reload(&self, sandbox_id: Uuid) -> Result<SandboxRecord> {
        let found = self.store.sandbox(sandbox_id).await?;
        found.ok_or_else(|| problem::sandbox_not_found(sandbox_id))
    }

    /// What a provider's answer changes in the row, new state sealed.
    async fn answered(&self, sandbox: &SandboxRecord, answer: &Answer) -> Result<Changes> {
        let mut changes = seen(sandbox, &answer.sandbox);
        if let Some(state) = &answer.state {
            self.seal_state(sandbox, &state.state, &mut changes).await?;
        }
        Ok(changes)
    }

    fn lane(&self, sandbox: &SandboxRecord) -> Result<Lane> {
        self.fleet
            .provider(&sandbox.provider)?
            .lane(&sandbox.instance_id, None)
    }
}

/// The state of a row; a number from a later version counts as unknown.
fn state(sandbox: &SandboxRecord) -> SandboxState {
    SandboxState::try_from(sandbox.state).unwrap_or(SandboxState::Unknown)
}

/// The name of a state without its prefix, as in `STOPPED`.
fn state_name(state: SandboxState) -> &'static str {
    state.as_str_name().trim_start_matches("SANDBOX_STATE_")
}

/// What a provider's answer changes in the row.
fn seen(sandbox: &SandboxRecord, seen: &Sandbox) -> Changes {
    let mut changes = sandbox.unchanged();
    changes.state = seen.state;
    let reason = seen.reason.clone().unwrap_or_default();
    (changes.reason_code, changes.reason_message) = (reason.code, reason.message);
    changes
        .provider_sandbox_id
        .clone_from(&seen.provider_sandbox_id);
    changes.instance_id.clone_from(&seen.instance_id);
    changes.workspace_path.clone_from(&seen.workspace_path);
    changes.home_path.clone_from(&seen.home_path);
    changes.start_time = seen
        .start_time
        .and_then(crate::clock::millis)
        .or(sandbox.start_time);
    if let Some(spec) = &seen.spec {
        changes.spec = spec.encode_to_vec();
    }
    changes
}
