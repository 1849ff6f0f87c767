//! Creating: the intent first, then the provider, then the fact; taken back where it fails.

use std::{future::ready, time::Duration};

use futures::FutureExt as _;
use prost::Message as _;
use sandgate_proto::{
    Problem, Reason,
    v1::{CreateSandboxRequest, FileTransfer, Lifecycle, OnIdle, SandboxSpec, SandboxState},
};
use sha2::{Digest as _, Sha256};
use tokio::time::timeout;
use uuid::Uuid;

use super::{Sandboxes, events, spec, state, uploads};
use crate::{
    clock::span,
    ids,
    ids::SandboxRef,
    principal::Principal,
    problem::{self, Result},
    session, step,
    store::{InsertOutcome, SandboxInsert, SandboxRecord, SessionRecord},
};

/// How long a provider may take to say what it can do.
const CAPABILITIES_PATIENCE: Duration = Duration::from_secs(5);

/// The answer of a create.
pub(crate) struct Created {
    pub(crate) session: SessionRecord,
    pub(crate) sandbox: SandboxRecord,
    /// An earlier call made it.
    pub(crate) replayed: bool,
}

impl Sandboxes {
    /// Makes a sandbox, or finds the one that the same request made before. The files that it begins
    /// with are noted with it.
    pub(crate) async fn create(
        &self,
        principal: &Principal,
        request: CreateSandboxRequest,
    ) -> Result<Created> {
        let session_id = ids::session_id(&request.session_id)?;
        let session = self.sessions.get(principal, session_id).await?;
        let wait = wait_time(request.wait_timeout)?;
        let files = request.upload_files.clone();
        let intent = self.intent(&session, request).await?;
        if let Err(problem) = self.check_files(session_id, &files).await
            // Who repeats a create may have deleted them since.
            && !self.store.was_asked_for(&intent).await?
        {
            return Err(problem);
        }
        let (sandbox, replayed) = self.claim(&session, intent, files).await?;
        let made = match state(&sandbox) {
            SandboxState::Creating => self.creation(&session, &sandbox),
            _ => ready(Ok(sandbox.clone())).boxed().shared(),
        };
        let sandbox = match wait {
            None => made.await?,
            Some(wait) => match timeout(wait, made.clone()).await {
                Ok(made) => made?,
                Err(_) => made.now_or_never().unwrap_or(Ok(sandbox))?,
            },
        };
        Ok(Created {
            session,
            sandbox,
            replayed,
        })
    }

    /// A sandbox that is made on first use, by its alias; made now if there is none.
    pub(super) async fn on_first_use(
        &self,
        principal: &Principal,
        session_id: Uuid,
        alias: &str,
    ) -> Result<Uuid> {
        let found = self.store.sandbox_by_alias(session_id, alias).await;
        if let Some(sandbox) = found? {
            return Ok(sandbox.sandbox_id);
        }
        let request = CreateSandboxRequest {
            session_id: session_id.to_string(),
            alias: alias.to_owned(),
            ..Default::default()
        };
        match self.create(principal, request).await {
            Ok(created) => Ok(created.sandbox.sandbox_id),
            // Somebody else was first: theirs it is, by its id, since one that could not be made
            // does not keep its alias.
            Err(problem) if problem.reason() == Reason::AliasTaken => {
                let theirs = problem.fact("sandbox_id").and_then(|id| id.parse().ok());
                theirs.ok_or(problem)
            }
            Err(problem) => Err(problem),
        }
    }

    /// The row of a new sandbox; nothing is stored yet.
    async fn intent(
        &self,
        session: &SessionRecord,
        mut request: CreateSandboxRequest,
    ) -> Result<SandboxRecord> {
        let request_id = ids::optional_uuid("request_id", &request.request_id)?;
        let (sandbox_id, alias) = names(&request)?;
        uploads::check(&request.upload_files)?;
        request.request_id.clear();
        request.wait_timeout = None;
        let fingerprint = Sha256::digest(request.encode_to_vec()).to_vec();
        let session_view = session::describe(session)?;
        let spec = spec::resolve(request.spec, &session_view, alias.as_deref(), &self.fleet)?;
        self.check_required(&spec).await?;
        let secrets: Vec<&str> = spec.secret_env.values().map(String::as_str).collect();
        self.credentials.has_secrets(session, &secrets).await?;
        let key = self
            .credentials
            .for_provider(session, &spec.provider)
            .await?;
        let now = self.clock.now();
        step::reached("gateway.create.checked")?;
        let (id, provider) = (
            sandbox_id.unwrap_or_else(Uuid::new_v4),
            spec.provider.clone(),
        );
        Ok(SandboxRecord {
            alias,
            request_id,
            fingerprint,
            credential_id: key.map(|key| key.value_id),
            due_time: Some(now + span(self.pace.takeover)),
            labels: spec.labels.clone(),
            ..SandboxRecord::new(id, session, provider, spec.encode_to_vec(), now)
        })
    }

    async fn check_required(&self, spec: &SandboxSpec) -> Result<()> {
        let on_idle = spec.lifecycle.as_ref().map(Lifecycle::on_idle);
        match on_idle.unwrap_or_default() {
            OnIdle::Stop => self.check_had(&spec.provider, "stop")?,
            OnIdle::Pause => self.check_had(&spec.provider, "pause")?,
            OnIdle::Hibernate => self.check_had(&spec.provider, "hibernate")?,
            OnIdle::Unspecified | OnIdle::Delete => {}
        }
        if spec.required_capabilities.is_empty() {
            return Ok(());
        }
        let lane = self.fleet.provider(&spec.provider)?.lane("", None)?;
        spec::check_required(spec, &lane.capabilities(None, CAPABILITIES_PATIENCE).await?)
    }

    /// Commits the intent, unless the same request did before; `true` then.
    async fn claim(
        &self,
        session: &SessionRecord,
        intent: SandboxRecord,
        files: Vec<FileTransfer>,
    ) -> Result<(SandboxRecord, bool)> {
        let most = self.limits.quota_sandboxes;
        let event = events::made(&intent)?;
        let upload = (!files.is_empty()).then(|| self.upload_of(session, intent.sandbox_id, files));
        let outcome = self
            .store
            .insert_sandbox_with(&intent, most, Some(&event), upload.as_ref());
        let outcome = match outcome.await? {
            SandboxInsert::Done(outcome) => outcome,
            SandboxInsert::OverQuota => {
                let message = "your organisation has as many sandboxes as it may; delete one that is not needed, or have the limit raised";
                return Err(problem::quota_exceeded(
                    "sandboxes",
                    &intent.org_id,
                    message,
                ));
            }
            SandboxInsert::KeyGone => {
                let message = "the key was replaced or deleted while the sandbox was being made; repeat the call";
                return Err(Problem::new(Reason::EtagMismatch, message));
            }
        };
        match outcome {
            InsertOutcome::Inserted => Ok((intent, false)),
            InsertOutcome::SameRequest(there) | InsertOutcome::SameId(there)
                if there.session_id == intent.session_id
                    && there.fingerprint == intent.fingerprint =>
            {
                Ok((there, true))
            }
            InsertOutcome::SameRequest(_) => Err(problem::request_id_reused()),
            InsertOutcome::SameId(_) => Err(Problem::new(
                Reason::SandboxIdReused,
                "this sandbox_id is taken; choose another, or leave it empty to have one made",
            )
            .with("sandbox_id", intent.sandbox_id)),
            InsertOutcome::SameAlias(there) => Err(Problem::new(
                Reason::AliasTaken,
                "another sandbox of the session has this alias; use that one, delete it, or choose another alias",
            )
            .with("sandbox_id", there.sandbox_id)),
            InsertOutcome::NoSession => Err(problem::session_not_found(intent.session_id)),
        }
    }
}

/// How long a caller waits; none: to the end.
pub(crate) fn wait_time(wait: Option<prost_types::Duration>) -> Result<Option<Duration>> {
    let Some(wait) = wait else {
        return Ok(None);
    };
    Duration::try_from(wait)
        .map(Some)
        .map_err(|_| Problem::invalid_field("wait_timeout", "must not be negative"))
}

/// The id and the alias that a request chooses. `@alias` in the place of the id is the alias.
fn names(request: &CreateSandboxRequest) -> Result<(Option<Uuid>, Option<String>)> {
    let alias = match request.alias.as_str() {
        "" => None,
        alias => Some(ids::checked_alias(alias, "alias")?),
    };
    match (SandboxRef::parse(&request.sandbox_id)?, alias) {
        (SandboxRef::Default, alias) => Ok((None, alias)),
        (SandboxRef::Id(id), alias) => Ok((Some(id), alias)),
        (SandboxRef::Alias(name), None) => Ok((None, Some(name))),
        (SandboxRef::Alias(name), Some(alias)) if name == alias => Ok((None, Some(name))),
        (SandboxRef::Alias(_), Some(_)) => Err(Problem::invalid_field(
            "alias",
            "differs from the alias in sandbox_id",
        )),
    }
}
