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

mod create;
mod describe;
mod flight;
mod life;
mod route;
mod routes;
mod spec;

use std::sync::Arc;

use prost::Message as _;
use sandgate_proto::{
    provider::v1::{ProviderContext, ProviderState},
    v1::{Sandbox, SandboxState},
};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

pub(crate) use describe::describe;
pub(crate) use route::{Needs, Target};

use crate::{
    fleet::{Context, Fleet, Lane},
    ids::SandboxRef,
    principal::Principal,
    problem::{self, Result},
    session::Sessions,
    store::{Changes, OwnerFilter, SandboxFilter, SandboxRecord, SessionRecord, Store},
};
use flight::Flights;
use routes::Routes;

/// The sandboxes of this installation. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Sandboxes {
    store: Arc<dyn Store>,
    fleet: Arc<Fleet>,
    sessions: Arc<Sessions>,
    gateway_id: Uuid,
    flights: Arc<Flights>,
    routes: Arc<Routes>,
}

impl Sandboxes {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        fleet: Arc<Fleet>,
        sessions: Arc<Sessions>,
        gateway_id: Uuid,
        tasks: TaskTracker,
    ) -> Self {
        Self {
            store,
            fleet,
            sessions,
            gateway_id,
            flights: Arc::new(Flights::new(tasks)),
            routes: Arc::default(),
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

    /// The caller's own sandboxes as they were last known, newest first.
    pub(crate) async fn list(
        &self,
        principal: &Principal,
        mut filter: SandboxFilter,
    ) -> Result<Vec<SandboxRecord>> {
        if let Some(session_id) = filter.session_id {
            self.sessions.get(principal, session_id).await?;
        }
        filter.owner = OwnerFilter {
            org_id: principal.org_id.clone(),
            user_id: principal.user_id.clone(),
        };
        self.store.list_sandboxes(&filter).await.map_err(Into::into)
    }

    /// All sandboxes of a session that are not gone.
    pub(crate) async fn of_session(&self, session: &SessionRecord) -> Result<Vec<SandboxRecord>> {
        let filter = SandboxFilter {
            owner: OwnerFilter {
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

    /// Applies changes to a row that nobody changed since; none where somebody did.
    async fn change(
        &self,
        sandbox: &SandboxRecord,
        changes: &Changes,
    ) -> Result<Option<SandboxRecord>> {
        let changed = self
            .store
            .change_sandbox(sandbox.sandbox_id, sandbox.version, changes)
            .await?;
        self.routes.forget(sandbox.sandbox_id);
        Ok(changed)
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

    fn context(&self, session: &SessionRecord, sandbox: &SandboxRecord) -> Result<Context> {
        Context::new(&ProviderContext {
            gateway_id: self.gateway_id.to_string(),
            org_id: session.org_id.clone(),
            user_id: session.user_id.clone(),
            agent_id: session.agent_id.clone(),
            harness_id: session.harness_id.clone(),
            session_id: session.session_id.to_string(),
            sandbox_id: sandbox.sandbox_id.to_string(),
            generation: u64::try_from(sandbox.generation).unwrap_or_default(),
            credential: None,
            state: sandbox.provider_state.clone().into(),
            state_version: u64::try_from(sandbox.version).unwrap_or_default(),
            provider_sandbox_id: sandbox.provider_sandbox_id.clone(),
            alias: sandbox.alias.clone().unwrap_or_default(),
            instance_id: sandbox.instance_id.clone(),
        })
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
fn answered(sandbox: &SandboxRecord, seen: &Sandbox, state: Option<ProviderState>) -> Changes {
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
    if let Some(state) = state {
        changes.provider_state = state.state.to_vec();
    }
    changes
}
