//! From the ids of a relayed call to the provider that serves it.

use std::sync::Arc;

use prost::Message as _;
use sandgate_proto::v1::{SandboxSpec, SandboxState};
use sandgate_service::WorkerId;
use uuid::Uuid;

use super::{Sandboxes, state, state_name};
use crate::{
    fleet::{Context, Lane},
    ids::SandboxRef,
    principal::Principal,
    problem::{self, Result},
    store::{SandboxRecord, SessionRecord},
};

/// Where calls about one running sandbox go, and what goes with them.
pub(crate) struct Target {
    session_id: Uuid,
    org_id: String,
    user_id: String,
    provider: String,
    instance_id: String,
    context: Context,
}

/// What the rpc needs of the sandbox.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Needs {
    /// An empty sandbox_id makes the default sandbox.
    pub(crate) default_sandbox: bool,
    /// A sandbox that does not run is started, where its spec allows it.
    pub(crate) running: bool,
}

impl Target {
    /// The provider context of the sandbox.
    pub(crate) fn context(&self) -> &Context {
        &self.context
    }
}

impl Sandboxes {
    /// Authorises a call and finds its way: a running sandbox of a session of the caller's own.
    pub(crate) async fn route(
        &self,
        principal: &Principal,
        session_id: Uuid,
        wanted: &SandboxRef,
        needs: Needs,
    ) -> Result<Arc<Target>> {
        if let SandboxRef::Id(id) = wanted
            && let Some(target) = self.routes.get(*id)
            && target.session_id == session_id
            && principal.owns(&target.org_id, &target.user_id)
        {
            return Ok(target);
        }
        // Boxed, since it is rarely needed and large: it would make every call's future so.
        Box::pin(self.target(principal, session_id, wanted, needs)).await
    }

    /// The way to the target's provider for what a worker relays.
    pub(crate) fn lane_to(&self, target: &Target, worker: WorkerId) -> Result<Lane> {
        self.fleet
            .provider(&target.provider)?
            .lane(&target.instance_id, Some(worker))
    }

    async fn target(
        &self,
        principal: &Principal,
        session_id: Uuid,
        wanted: &SandboxRef,
        needs: Needs,
    ) -> Result<Arc<Target>> {
        let made;
        let wanted = match wanted {
            SandboxRef::Default if needs.default_sandbox => {
                self.sessions.get(principal, session_id).await?;
                made = SandboxRef::Id(self.default_sandbox(principal, session_id).await?);
                &made
            }
            wanted => wanted,
        };
        let (session, sandbox) = self.find(principal, session_id, wanted).await?;
        let sandbox = self.ready(&session, sandbox, wanted, needs).await?;
        let target = Arc::new(Target {
            session_id,
            org_id: session.org_id.clone(),
            user_id: session.user_id.clone(),
            context: self.context(&session, &sandbox)?,
            provider: sandbox.provider.clone(),
            instance_id: sandbox.instance_id.clone(),
        });
        if state(&sandbox) == SandboxState::Running {
            self.routes.insert(sandbox.sandbox_id, target.clone());
        }
        Ok(target)
    }

    /// Waits for a sandbox that is being made, starts one that is stopped.
    async fn ready(
        &self,
        session: &SessionRecord,
        sandbox: SandboxRecord,
        wanted: &SandboxRef,
        needs: Needs,
    ) -> Result<SandboxRecord> {
        match state(&sandbox) {
            SandboxState::Running => Ok(sandbox),
            SandboxState::Deleted => Err(problem::sandbox_not_found(wanted)),
            SandboxState::Creating => self.creation(session, &sandbox).await,
            SandboxState::Starting => self.start(session, sandbox).await,
            SandboxState::Stopped | SandboxState::Paused | SandboxState::Stopping
                if needs.running && auto_start(&sandbox) =>
            {
                self.start(session, sandbox).await
            }
            other => Err(problem::not_running(sandbox.sandbox_id, state_name(other))),
        }
    }
}

/// Whether a call may start the sandbox; yes unless its spec says no.
fn auto_start(sandbox: &SandboxRecord) -> bool {
    SandboxSpec::decode(sandbox.spec.as_slice())
        .ok()
        .and_then(|spec| spec.lifecycle?.auto_start)
        .unwrap_or(true)
}
