//! Making a session: what it may use, from the request, its agent and its harness.

use prost::Message as _;
use sandgate_proto::{
    Problem, Reason,
    v1::{Agent, AgentKind, CapabilityRef, CreateSessionRequest},
};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{Sessions, capability, check_labels, check_title, expiry, has_expired};
use crate::{
    clock, ids,
    principal::{Owner, Principal},
    problem::{self, Result},
    store::{InsertOutcome, SessionRecord},
};

impl Sessions {
    /// Makes a session; `true` where an earlier call with the same request made it.
    pub(crate) async fn create(
        &self,
        principal: &Principal,
        request: CreateSessionRequest,
    ) -> Result<(SessionRecord, bool)> {
        let named = !request.session_id.is_empty() || !request.request_id.is_empty();
        let owner = principal.acting_for(&request.org_id, &request.user_id)?;
        let org_id = owner.org_id.clone();
        let draft = match draft(owner, &request) {
            Ok(draft) => draft,
            Err(malformed) => {
                // What is named has to be there before anything else is looked at.
                self.below(&org_id, &request).await?;
                return Err(malformed);
            }
        };
        // Before all that may have changed since: a repeated request gets its answer still.
        if named && let Some(there) = self.store.same_session(&draft).await? {
            return answer(principal, draft, there);
        }
        let record = self.resolve(draft, request).await?;
        let outcome = self.store.insert_session(&record).await?;
        answer(principal, record, outcome)
    }

    /// The agent and the harness that a request names.
    async fn below(&self, org_id: &str, request: &CreateSessionRequest) -> Result<Vec<Agent>> {
        let agent = (&request.agent_id, AgentKind::Agent);
        let harness = (&request.harness_id, AgentKind::Harness);
        let mut below = Vec::new();
        for (id, kind) in [agent, harness] {
            if !id.is_empty() {
                below.push(self.agents.of_kind(org_id, id, kind).await?);
            }
        }
        Ok(below)
    }

    /// Fills in what the session gets.
    async fn resolve(
        &self,
        draft: SessionRecord,
        mut request: CreateSessionRequest,
    ) -> Result<SessionRecord> {
        let below = self.below(&draft.org_id, &request).await?;
        check_title("title", &request.title)?;
        check_labels(&request.labels)?;
        self.capabilities.check(&request.capabilities)?;
        let expire_time = expiry(request.expire_time)?;
        if request.capabilities.is_empty() && below.is_empty() {
            let all = self.capabilities.available();
            request.capabilities = all.iter().map(|name| capability::plain(name)).collect();
        }
        for one in below {
            add_missing(&mut request.capabilities, one.capabilities);
            request.default_sandbox = request.default_sandbox.or(one.default_sandbox);
        }
        self.capabilities.check_available(&request.capabilities)?;
        self.capabilities.complete(&mut request.capabilities);
        request.request_id.clear();
        Ok(SessionRecord {
            definition: request.encode_to_vec(),
            agent_id: request.agent_id,
            harness_id: request.harness_id,
            labels: request.labels,
            expire_time,
            ..draft
        })
    }
}

/// What is known of a session before it is looked into; its definition is missing.
fn draft(owner: Owner, request: &CreateSessionRequest) -> Result<SessionRecord> {
    let session_id = ids::optional_uuid("session_id", &request.session_id)?;
    let request_id = ids::optional_uuid("request_id", &request.request_id)?;
    let asked = CreateSessionRequest {
        request_id: String::new(),
        ..request.clone()
    };
    let session_id = session_id.unwrap_or_else(Uuid::new_v4);
    Ok(SessionRecord {
        request_id,
        fingerprint: Sha256::digest(asked.encode_to_vec()).to_vec(),
        ..SessionRecord::new(session_id, owner.org_id, owner.user_id, clock::now())
    })
}

/// Adds capabilities of a lower floor, where those above name none of the same ref.
fn add_missing(capabilities: &mut Vec<CapabilityRef>, more: Vec<CapabilityRef>) {
    for one in more {
        if !capabilities.iter().any(|there| there.r#ref == one.r#ref) {
            capabilities.push(one);
        }
    }
}

fn answer(
    principal: &Principal,
    record: SessionRecord,
    outcome: InsertOutcome<SessionRecord>,
) -> Result<(SessionRecord, bool)> {
    match outcome {
        InsertOutcome::Inserted => Ok((record, false)),
        InsertOutcome::SameRequest(there) if there.fingerprint == record.fingerprint => {
            Ok((there, true))
        }
        InsertOutcome::SameRequest(_) => Err(problem::request_id_reused()),
        InsertOutcome::SameId(there)
            if there.fingerprint == record.fingerprint
                && principal.owns(&there.org_id, &there.user_id)
                && there.delete_time.is_none()
                && !has_expired(there.expire_time) =>
        {
            Ok((there, true))
        }
        InsertOutcome::SameId(_) | InsertOutcome::SameAlias(_) | InsertOutcome::NoSession => {
            Err(Problem::new(
                Reason::SessionIdReused,
                "this session_id is taken; choose another, or leave it empty to have one made",
            )
            .with("session_id", record.session_id))
        }
    }
}
