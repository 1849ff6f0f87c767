//! Creating: the intent first, then the provider, then the fact; taken back where it fails.

use std::time::Duration;

use prost::Message as _;
use sandgate_proto::{
    Problem, Reason,
    v1::{CreateSandboxRequest, SandboxSpec, SandboxState},
};
use sha2::{Digest as _, Sha256};
use tokio::time::timeout;
use uuid::Uuid;

use super::{Sandboxes, context::Key, events, flight::Flight, spec, state};
use crate::{
    clock, ids,
    ids::SandboxRef,
    principal::Principal,
    problem::{self, Result},
    session::{self, DEFAULT_ALIAS},
    store::{InsertOutcome, SandboxInsert, SandboxRecord, SessionRecord},
};

/// How long a provider may take: it may have to pull an image.
const PATIENCE: Duration = Duration::from_secs(900);
/// How long taking back may take.
const ROLLBACK_PATIENCE: Duration = Duration::from_secs(120);
/// How long a provider may take to say what it can do.
const CAPABILITIES_PATIENCE: Duration = Duration::from_secs(5);

/// The answer of a create.
pub(crate) struct Created {
    pub(crate) sandbox: SandboxRecord,
    /// An earlier call made it.
    pub(crate) replayed: bool,
}

impl Sandboxes {
    /// Makes a sandbox, or finds the one that the same request made before.
    pub(crate) async fn create(
        &self,
        principal: &Principal,
        request: CreateSandboxRequest,
    ) -> Result<Created> {
        let session_id = ids::session_id(&request.session_id)?;
        let session = self.sessions.get(principal, session_id).await?;
        let wait = wait_time(&request)?;
        let intent = self.intent(&session, request).await?;
        let (sandbox, replayed) = self.claim(intent).await?;
        let flight = match state(&sandbox) {
            SandboxState::Creating => self.creation(&session, &sandbox),
            _ => return Ok(Created { sandbox, replayed }),
        };
        let sandbox = match wait {
            None => flight.await?,
            Some(wait) => timeout(wait, flight).await.unwrap_or(Ok(sandbox))?,
        };
        Ok(Created { sandbox, replayed })
    }

    /// The session's default sandbox, made now if there is none.
    pub(super) async fn default_sandbox(
        &self,
        principal: &Principal,
        session_id: Uuid,
    ) -> Result<Uuid> {
        let found = self.store.sandbox_by_alias(session_id, DEFAULT_ALIAS).await;
        if let Some(sandbox) = found? {
            return Ok(sandbox.sandbox_id);
        }
        let request = CreateSandboxRequest {
            session_id: session_id.to_string(),
            alias: DEFAULT_ALIAS.to_owned(),
            ..Default::default()
        };
        match self.create(principal, request).await {
            Ok(created) => Ok(created.sandbox.sandbox_id),
            // Somebody else was first: theirs is the default sandbox.
            Err(problem) if problem.reason() == Reason::AliasTaken => {
                let wanted = SandboxRef::Alias(DEFAULT_ALIAS.to_owned());
                Ok(self
                    .find(principal, session_id, &wanted)
                    .await?
                    .1
                    .sandbox_id)
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
        if !request.upload_files.is_empty() {
            return Err(problem::unsupported(
                "session_file_system",
                "this gateway keeps no session files yet; leave upload_files empty",
            ));
        }
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
        Ok(SandboxRecord {
            sandbox_id: sandbox_id.unwrap_or_else(Uuid::new_v4),
            session_id: session.session_id,
            org_id: session.org_id.clone(),
            alias,
            request_id,
            fingerprint,
            provider: spec.provider.clone(),
            spec: spec.encode_to_vec(),
            labels: spec.labels,
            state: SandboxState::Creating.into(),
            reason_code: String::new(),
            reason_message: String::new(),
            generation: 1,
            version: 1,
            provider_sandbox_id: String::new(),
            instance_id: String::new(),
            credential_id: key.map(|key| key.value_id),
            provider_state: Vec::new(),
            state_key_id: String::new(),
            workspace_path: String::new(),
            home_path: String::new(),
            create_time: clock::now(),
            start_time: None,
            delete_time: None,
        })
    }

    async fn check_required(&self, spec: &SandboxSpec) -> Result<()> {
        if spec.required_capabilities.is_empty() {
            return Ok(());
        }
        let lane = self.fleet.provider(&spec.provider)?.lane("", None)?;
        spec::check_required(spec, &lane.capabilities(None, CAPABILITIES_PATIENCE).await?)
    }

    /// Commits the intent, unless the same request did before; `true` then.
    async fn claim(&self, intent: SandboxRecord) -> Result<(SandboxRecord, bool)> {
        let most = self.limits.quota_sandboxes;
        let event = events::made(&intent)?;
        let outcome = self.store.insert_sandbox(&intent, most, Some(&event));
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

    /// The work of a create: joined if it is under way, begun if it is not, also after a crash.
    pub(super) fn creation(&self, session: &SessionRecord, sandbox: &SandboxRecord) -> Flight {
        let work = self.clone().carry_out(session.clone(), sandbox.clone());
        self.flights.join_or_start(sandbox.sandbox_id, work)
    }

    async fn carry_out(
        self,
        session: SessionRecord,
        sandbox: SandboxRecord,
    ) -> Result<SandboxRecord> {
        match self.ask_provider(&session, &sandbox).await {
            Ok(changes) => match self.change(&sandbox, &changes).await? {
                Some(running) => Ok(running),
                // A delete came in between, and wins; it deletes what was made.
                None => self.reload(sandbox.sandbox_id).await,
            },
            Err(problem) => {
                self.take_back(&session, &sandbox, &problem).await?;
                Err(problem)
            }
        }
    }

    async fn ask_provider(
        &self,
        session: &SessionRecord,
        sandbox: &SandboxRecord,
    ) -> Result<crate::store::Changes> {
        let spec = SandboxSpec::decode(sandbox.spec.as_slice())
            .map_err(|error| problem::internal("sandbox row", &error))?;
        let context = self.context(session, sandbox, Key::MadeWith).await?;
        let answer = self.lane(sandbox)?.create(&context, spec, PATIENCE).await?;
        self.answered(sandbox, &answer).await
    }

    /// Removes what a failed create may have left, and the row with it. Where the provider cannot
    /// be asked the row stays, in FAILED, so that what it may have made is never forgotten.
    async fn take_back(
        &self,
        session: &SessionRecord,
        sandbox: &SandboxRecord,
        problem: &Problem,
    ) -> Result<()> {
        let removed = self.remove(session, sandbox, ROLLBACK_PATIENCE).await;
        if removed.is_ok() || never_asked(problem) {
            let event = events::taken_back(sandbox, problem)?;
            self.store
                .forget_sandbox(sandbox.sandbox_id, sandbox.version, Some(&event))
                .await?;
            self.release_key(sandbox).await;
            return Ok(());
        }
        let mut changes = sandbox.unchanged();
        changes.state = SandboxState::Failed.into();
        changes.reason_code = problem.reason().name().to_owned();
        changes.reason_message = problem.message().to_owned();
        self.change(sandbox, &changes).await.map(drop)
    }
}

/// The provider was not even reached, so it made nothing.
fn never_asked(problem: &Problem) -> bool {
    problem.reason() == Reason::ProviderUnavailable
        && problem
            .facts()
            .iter()
            .any(|(key, value)| *key == "outcome" && value == "rejected")
}

fn wait_time(request: &CreateSandboxRequest) -> Result<Option<Duration>> {
    let Some(wait) = request.wait_timeout else {
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
