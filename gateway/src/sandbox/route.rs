//! From the ids of a relayed call to the provider that serves it.

use std::sync::Arc;

use prost::Message as _;
use sandgate_proto::v1::{SandboxSpec, SandboxState};
use sandgate_service::WorkerId;
use uuid::Uuid;

use super::{
    Sandboxes,
    context::Key,
    state,
    state::{could_not_be_made, why},
    state_name,
    touches::Touch,
};
use crate::{
    fleet::{Context, Lane},
    ids::SandboxRef,
    principal::{Owner, Principal},
    problem::{self, Result},
    session::{self, DEFAULT_ALIAS},
    store::{SandboxRecord, SessionRecord},
};

/// Where calls about one running sandbox go, and what goes with them.
pub(crate) struct Target {
    session: SessionRecord,
    sandbox_id: Uuid,
    provider: String,
    instance_id: String,
    /// What the spec's `secret_env` asks for.
    spec_secrets: Vec<(String, String)>,
    context: Context,
    touch: Touch,
    /// How often the sandbox was started again, each time without what ran before.
    boots: i64,
}

/// What the rpc needs of the sandbox.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Needs {
    /// What the caller has to be allowed.
    pub(crate) scope: &'static str,
    /// An empty sandbox_id makes the default sandbox.
    pub(crate) default_sandbox: bool,
    /// What becomes of a sandbox that does not run.
    pub(crate) at_rest: AtRest,
    /// The call is a use of the sandbox, so that its clocks begin anew.
    pub(crate) uses: bool,
}

/// What a call does with a sandbox that is stopped or paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AtRest {
    /// It is started, where its spec allows it.
    Start,
    /// The call is refused.
    Refuse,
    /// The call is for its provider all the same.
    Stay,
}

impl Target {
    /// The session of the sandbox.
    pub(super) fn session_id(&self) -> Uuid {
        self.session.session_id
    }

    /// The provider context of the sandbox.
    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    /// The sandbox, whatever name it was called by.
    pub(crate) fn sandbox_id(&self) -> Uuid {
        self.sandbox_id
    }

    /// How often the sandbox was started again.
    pub(crate) fn boots(&self) -> i64 {
        self.boots
    }

    /// Whether executions may have ended that its runner does not know any more.
    pub(crate) fn was_restarted(&self) -> bool {
        self.boots > 0
    }

    /// Whose it is.
    pub(crate) fn owner(&self) -> Owner {
        Owner {
            org_id: self.session.org_id.clone(),
            user_id: self.session.user_id.clone(),
        }
    }

    /// Notes a use. A look is none.
    pub(super) fn used(&self, needs: Needs) {
        if needs.uses {
            self.touch.now();
        }
    }

    /// Notes that a call that uses it goes on. As cheap as a look at the clock.
    pub(crate) fn still_used(&self) {
        self.touch.now();
    }

    pub(super) fn org_id(&self) -> &str {
        &self.session.org_id
    }

    pub(super) fn session(&self) -> &SessionRecord {
        &self.session
    }

    pub(super) fn spec_secrets(&self) -> &[(String, String)] {
        &self.spec_secrets
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
            && target.session.session_id == session_id
            && principal.owns(&target.session.org_id, &target.session.user_id)
            && !session::has_expired(target.session.expire_time)
        {
            principal.allowed(needs.scope)?;
            target.used(needs);
            return Ok(target);
        }
        // Boxed, since it is rarely needed and large: it would make every call's future so.
        let target = Box::pin(self.target(principal, session_id, wanted, needs)).await?;
        target.used(needs);
        Ok(target)
    }

    /// Whether the sandbox is in the life that the target was found in. Another gateway may have started
    /// it anew since, and what ran before would run again.
    pub(crate) async fn is_same_life(&self, target: &Target) -> Result<bool> {
        let boots = self.store.boots(target.sandbox_id).await?;
        let same = boots == Some(target.boots);
        if !same {
            self.routes.forget(target.sandbox_id);
        }
        Ok(same)
    }

    /// Whether a sandbox that was believed to run does not any more, asked of its provider.
    pub(crate) async fn has_stopped(&self, target: &Target) -> Result<bool> {
        let sandbox = self.reload(target.sandbox_id).await?;
        self.routes.forget(target.sandbox_id);
        let now = self.look(&target.session, sandbox).await?;
        Ok(state(&now) != SandboxState::Running)
    }

    /// The way to the target's provider for what a worker relays.
    pub(crate) fn lane_to(&self, target: &Target, worker: WorkerId) -> Result<Lane> {
        self.fleet
            .provider(&target.provider)?
            .lane(&target.instance_id, Some(worker))
    }

    /// The way to it for the gateway's own calls.
    pub(super) fn own_lane_to(&self, target: &Target) -> Result<Lane> {
        let provider = self.fleet.provider(&target.provider)?;
        provider.lane(&target.instance_id, None)
    }

    async fn target(
        &self,
        principal: &Principal,
        session_id: Uuid,
        wanted: &SandboxRef,
        needs: Needs,
    ) -> Result<Arc<Target>> {
        let alias = match wanted {
            SandboxRef::Default if needs.default_sandbox => Some(DEFAULT_ALIAS),
            SandboxRef::Alias(alias) if needs.default_sandbox => Some(alias.as_str()),
            _ => None,
        };
        let first = match alias {
            Some(alias) => self.first_use(principal, session_id, alias, needs).await?,
            None => None,
        };
        let wanted = first.as_ref().unwrap_or(wanted);
        let forgotten = self.routes.forgotten();
        let (session, sandbox) = self.find(principal, session_id, wanted).await?;
        principal.allowed(needs.scope)?;
        if first.is_some()
            && could_not_be_made(&sandbox)
            && let Some(why) = why(&sandbox)
        {
            // It is being taken back, or was between its being found and now: as its maker was told.
            return Err(why);
        }
        session::check_enabled(&session::describe(&session)?, &sandbox.provider)?;
        let sandbox = self.ready(&session, sandbox, wanted, needs).await?;
        let spec = SandboxSpec::decode(sandbox.spec.as_slice())
            .map_err(|error| problem::damaged("sandbox row", &error))?;
        let key = self.credential(&session, &sandbox, Key::Current).await?;
        // A key is resolved afresh for each call, so that a route with one is not kept.
        let kept = key.is_none();
        let target = Arc::new(Target {
            context: self
                .context_with(&session, &sandbox, Key::Current, key)
                .await?,
            session,
            sandbox_id: sandbox.sandbox_id,
            provider: sandbox.provider.clone(),
            instance_id: sandbox.instance_id.clone(),
            spec_secrets: spec.secret_env.into_iter().collect(),
            touch: self.touch(&sandbox),
            boots: sandbox.boots,
        });
        if kept && state(&sandbox) == SandboxState::Running {
            let target = target.clone();
            self.routes.insert(sandbox.sandbox_id, target, forgotten);
        }
        Ok(target)
    }

    /// The sandbox that a call makes by using it first: the session's default one, or a face that is
    /// its session's own.
    async fn first_use(
        &self,
        principal: &Principal,
        session_id: Uuid,
        alias: &str,
        needs: Needs,
    ) -> Result<Option<SandboxRef>> {
        let session = self.sessions.get(principal, session_id).await?;
        principal.allowed(needs.scope)?;
        let view = session::describe(&session)?;
        let face = session::provider_of_face(&view, Some(alias));
        let own = face.is_some_and(|face| session::ends_with_session(face, Some(alias)));
        if alias != DEFAULT_ALIAS && !own {
            return Ok(None);
        }
        let made = self.on_first_use(principal, session_id, alias).await?;
        Ok(Some(SandboxRef::Id(made)))
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
            other if needs.at_rest == AtRest::Stay && is_at_rest(other) => Ok(sandbox),
            other
                if needs.at_rest == AtRest::Start && is_at_rest(other) && auto_start(&sandbox) =>
            {
                self.start(session, sandbox).await
            }
            other => Err(problem::not_running(sandbox.sandbox_id, state_name(other))),
        }
    }
}

/// Whether it is stopped or paused, or about to be.
fn is_at_rest(state: SandboxState) -> bool {
    use SandboxState::{Paused, Pausing, Stopped, Stopping};
    matches!(state, Stopped | Paused | Stopping | Pausing)
}

/// Whether a call may start the sandbox; yes unless its spec says no.
fn auto_start(sandbox: &SandboxRecord) -> bool {
    SandboxSpec::decode(sandbox.spec.as_slice())
        .ok()
        .and_then(|spec| spec.lifecycle?.auto_start)
        .unwrap_or(true)
}
