//! Sessions: who owns them and what they may use.

use std::{collections::BTreeMap, sync::Arc};

use prost::Message as _;
use sandgate_proto::{
    Problem, Reason,
    v1::{CapabilityRef, CreateSessionRequest, SandboxSpec, Session},
};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::{
    clock,
    fleet::Fleet,
    ids,
    principal::Principal,
    problem,
    problem::Result,
    store::{InsertOutcome, OwnerFilter, SessionFilter, SessionRecord, Store},
};

/// Capabilities that bring no provider with them.
const PLAIN_CAPABILITIES: &[&str] = &["session_storage", "session_file_system"];
/// Two capabilities are faces of one provider; every other has its provider's name.
const FACES: &[(&str, &str)] = &[("container_sandbox", "container"), ("docker", "container")];
/// Bytes of a title.
const TITLE_BYTES: usize = 256;
/// Labels of one thing, and the bytes of their keys and values.
const LABELS: (usize, usize, usize) = (64, 63, 256);

/// The sessions of this installation.
pub(crate) struct Sessions {
    store: Arc<dyn Store>,
    fleet: Arc<Fleet>,
}

impl Sessions {
    pub(crate) fn new(store: Arc<dyn Store>, fleet: Arc<Fleet>) -> Self {
        Self { store, fleet }
    }

    /// Makes a session; `true` where an earlier call with the same request made it.
    pub(crate) async fn create(
        &self,
        principal: &Principal,
        request: CreateSessionRequest,
    ) -> Result<(SessionRecord, bool)> {
        let record = self.new_record(principal, request)?;
        let outcome = self.store.insert_session(&record).await?;
        match outcome {
            InsertOutcome::Inserted => Ok((record, false)),
            InsertOutcome::SameRequest(there) if there.fingerprint == record.fingerprint => {
                Ok((there, true))
            }
            InsertOutcome::SameRequest(_) => Err(problem::request_id_reused()),
            InsertOutcome::SameId(there) | InsertOutcome::SameAlias(there) => {
                let own = principal.owns(&there.org_id, &there.user_id);
                if own && there.fingerprint == record.fingerprint {
                    return Ok((there, true));
                }
                Err(Problem::new(
                    Reason::SessionIdReused,
                    "this session_id is taken; choose another, or leave it empty to have one made",
                )
                .with("session_id", record.session_id))
            }
        }
    }

    /// A session of the caller's own.
    pub(crate) async fn get(
        &self,
        principal: &Principal,
        session_id: Uuid,
    ) -> Result<SessionRecord> {
        let found = self.store.session(session_id).await?;
        found
            .filter(|session| principal.owns(&session.org_id, &session.user_id))
            .ok_or_else(|| problem::session_not_found(session_id))
    }

    /// The caller's own sessions, newest first.
    pub(crate) async fn list(
        &self,
        principal: &Principal,
        mut filter: SessionFilter,
    ) -> Result<Vec<SessionRecord>> {
        filter.owner = OwnerFilter {
            org_id: principal.org_id.clone(),
            user_id: principal.user_id.clone(),
        };
        self.store.list_sessions(&filter).await.map_err(Into::into)
    }

    /// Marks a session deleted. What it owns has to be deleted by the caller of this.
    pub(crate) async fn delete(&self, session: &SessionRecord) -> Result<()> {
        self.store
            .delete_session(session.session_id, clock::now())
            .await
            .map(drop)
            .map_err(Into::into)
    }

    fn new_record(
        &self,
        principal: &Principal,
        mut request: CreateSessionRequest,
    ) -> Result<SessionRecord> {
        let session_id = ids::optional_uuid("session_id", &request.session_id)?;
        let request_id = ids::optional_uuid("request_id", &request.request_id)?;
        only_own(principal, &request.org_id, &request.user_id)?;
        if request.title.len() > TITLE_BYTES {
            return Err(Problem::invalid_field(
                "title",
                "must have at most 256 bytes",
            ));
        }
        check_labels(&request.labels)?;
        self.check_capabilities(&mut request.capabilities)?;
        if request.expire_time.is_some() {
            return Err(problem::unsupported(
                "session_expiry",
                "sessions do not expire by themselves in this version; leave expire_time unset and call DeleteSession",
            ));
        }
        request.request_id.clear();
        let definition = request.encode_to_vec();
        let now = clock::now();
        Ok(SessionRecord {
            session_id: session_id.unwrap_or_else(Uuid::new_v4),
            org_id: principal.org_id.clone(),
            user_id: principal.user_id.clone(),
            request_id,
            fingerprint: Sha256::digest(&definition).to_vec(),
            definition,
            agent_id: request.agent_id,
            harness_id: request.harness_id,
            labels: request.labels,
            version: 1,
            create_time: now,
            update_time: now,
        })
    }

    /// Refuses what is unknown or not to be had here, and adds what sandboxes bring with them.
    fn check_capabilities(&self, capabilities: &mut Vec<CapabilityRef>) -> Result<()> {
        let mut sandboxes = false;
        for capability in capabilities.iter() {
            let name = capability.r#ref.as_str();
            if PLAIN_CAPABILITIES.contains(&name) {
                continue;
            }
            sandboxes = true;
            let provider = provider_of(name);
            if !self.fleet.has(provider) {
                return Err(Problem::new(
                    Reason::CapabilityNotEnabled,
                    format!("the capability needs the provider {provider}, which this gateway does not have; it has: {}", self.fleet.ids().join(", ")),
                )
                .with("capability", name)
                .with("provider", provider));
            }
        }
        let has_storage = capabilities
            .iter()
            .any(|capability| capability.r#ref == "session_storage");
        if sandboxes && !has_storage {
            capabilities.push(CapabilityRef {
                r#ref: "session_storage".into(),
                config: None,
            });
        }
        Ok(())
    }
}

/// The provider behind a capability.
fn provider_of(capability: &str) -> &str {
    let face = FACES.iter().find(|(face, _)| *face == capability);
    face.map_or(capability, |(_, provider)| provider)
}

/// Providers that a session's capabilities name, each once; none where it names no sandbox.
pub(crate) fn providers(session: &Session) -> Vec<&str> {
    let mut providers: Vec<&str> = session
        .capabilities
        .iter()
        .map(|capability| capability.r#ref.as_str())
        .filter(|name| !PLAIN_CAPABILITIES.contains(name))
        .map(provider_of)
        .collect();
    providers.sort_unstable();
    providers.dedup();
    providers
}

/// The session as callers see it.
pub(crate) fn describe(record: &SessionRecord) -> Result<Session> {
    let made = CreateSessionRequest::decode(record.definition.as_slice())
        .map_err(|error| problem::internal("session row", &error))?;
    Ok(Session {
        session_id: record.session_id.to_string(),
        org_id: record.org_id.clone(),
        user_id: record.user_id.clone(),
        agent_id: record.agent_id.clone(),
        harness_id: record.harness_id.clone(),
        title: made.title,
        capabilities: made.capabilities,
        default_sandbox: made.default_sandbox,
        default_sandbox_id: String::new(),
        labels: record.labels.clone(),
        create_time: Some(clock::timestamp(record.create_time)),
        update_time: Some(clock::timestamp(record.update_time)),
        expire_time: None,
        etag: record.version.to_string(),
    })
}

/// The spec that the session's sandboxes get where a create names none.
pub(crate) fn default_spec(session: &Session) -> SandboxSpec {
    session.default_sandbox.clone().unwrap_or_default()
}

/// Acting for others needs a scope that no key has yet.
pub(crate) fn only_own(principal: &Principal, org_id: &str, user_id: &str) -> Result<()> {
    let own = |asked: &str, own: &str| asked.is_empty() || asked == own;
    if own(org_id, &principal.org_id) && own(user_id, &principal.user_id) {
        return Ok(());
    }
    Err(Problem::new(
        Reason::ScopeRequired,
        "acting for another user needs a key with the scope act_as; leave org_id and user_id empty",
    )
    .with("scope", "act_as"))
}

/// Bounds of the caller's own labels.
pub(crate) fn check_labels(labels: &BTreeMap<String, String>) -> Result<()> {
    let (count, key, value) = LABELS;
    let fits = |(k, v): (&String, &String)| !k.is_empty() && k.len() <= key && v.len() <= value;
    if labels.len() <= count && labels.iter().all(fits) {
        return Ok(());
    }
    Err(Problem::invalid_field(
        "labels",
        "at most 64 labels, each with a key of 1 to 63 bytes and a value of at most 256",
    ))
}

/// The capabilities, any one of which a session needs to use a provider.
pub(crate) fn capabilities_of(provider: &str) -> Vec<String> {
    let faces: Vec<String> = FACES
        .iter()
        .filter(|(_, behind)| *behind == provider)
        .map(|(face, _)| (*face).to_owned())
        .collect();
    if faces.is_empty() {
        vec![provider.to_owned()]
    } else {
        faces
    }
}
