//! Agents and harnesses: what their sessions get. They belong to the organisation.

mod presets;
mod update;

use std::sync::Arc;

use prost::Message as _;
use sandgate_proto::{
    Problem,
    v1::{Agent, AgentKind, CreateAgentRequest},
};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

pub(crate) use crate::store::AgentFilter as Filter;
use crate::{
    clock, ids,
    principal::Principal,
    problem::{self, Result},
    session::{self, Capabilities},
    store::{AgentFilter, AgentRecord, InsertOutcome, Store},
};

/// The agents of this installation.
pub(crate) struct Agents {
    store: Arc<dyn Store>,
    capabilities: Arc<Capabilities>,
}

impl Agents {
    pub(crate) fn new(store: Arc<dyn Store>, capabilities: Arc<Capabilities>) -> Self {
        Self {
            store,
            capabilities,
        }
    }

    /// Makes an agent; `true` where an earlier call with the same request made it.
    pub(crate) async fn create(
        &self,
        principal: &Principal,
        request: CreateAgentRequest,
    ) -> Result<(Agent, bool)> {
        let named = !request.agent_id.is_empty() || !request.request_id.is_empty();
        let record = new_record(principal, request)?;
        if presets::is_reserved(&record.agent_id) {
            return Err(problem::agent_id_reused(&record.agent_id));
        }
        // Before all that may have changed since: a repeated request gets its answer still.
        if named && let Some(there) = self.store.same_agent(&record).await? {
            return answer(&record, there);
        }
        let asked = definition(&record)?;
        session::check_title("title", &asked.title)?;
        session::check_labels(&asked.labels)?;
        self.capabilities.check(&asked.capabilities)?;
        let outcome = self.store.insert_agent(&record).await?;
        answer(&record, outcome)
    }

    /// An agent of the organisation that the caller acts for; empty is its own.
    pub(crate) async fn get(
        &self,
        principal: &Principal,
        org_id: &str,
        agent_id: &str,
    ) -> Result<Agent> {
        let org_id = principal.acting_for(org_id, "")?.org_id;
        ids::agent_id(agent_id)?;
        self.find(&org_id, agent_id).await
    }

    /// An agent or a harness that a session of this organisation names.
    pub(crate) async fn of_kind(
        &self,
        org_id: &str,
        agent_id: &str,
        kind: AgentKind,
    ) -> Result<Agent> {
        let found = self.find(org_id, agent_id).await?;
        if found.kind() == kind {
            return Ok(found);
        }
        Err(problem::agent_not_found(agent_id))
    }

    /// Agents, newest first, those that come with Sandgate last.
    pub(crate) async fn list(&self, filter: AgentFilter) -> Result<Vec<Agent>> {
        let rows = self.store.list_agents(&filter).await?;
        let mut agents = rows.iter().map(describe).collect::<Result<Vec<_>>>()?;
        let presets = presets::page(&filter, self.capabilities.has_harness());
        let room = (filter.limit as usize).saturating_sub(agents.len());
        agents.extend(presets.take(room));
        Ok(agents)
    }

    /// Deletes an agent; false where there was none.
    pub(crate) async fn delete(
        &self,
        principal: &Principal,
        org_id: &str,
        agent_id: &str,
    ) -> Result<bool> {
        let org_id = principal.acting_for(org_id, "")?.org_id;
        self.refuse_preset(&org_id, agent_id)?;
        let deleted = self.store.delete_agent(&org_id, agent_id).await;
        deleted.map_err(Into::into)
    }

    async fn find(&self, org_id: &str, agent_id: &str) -> Result<Agent> {
        if let Some(preset) = self.preset(org_id, agent_id) {
            return Ok(preset);
        }
        let found = self.store.agent(org_id, agent_id).await?;
        describe(&found.ok_or_else(|| problem::agent_not_found(agent_id))?)
    }

    fn preset(&self, org_id: &str, agent_id: &str) -> Option<Agent> {
        presets::all(org_id, self.capabilities.has_harness())
            .find(|preset| preset.agent_id == agent_id)
    }

    /// Refuses to change what comes with Sandgate.
    fn refuse_preset(&self, org_id: &str, agent_id: &str) -> Result<()> {
        ids::agent_id(agent_id)?;
        match self.preset(org_id, agent_id) {
            Some(_) => Err(problem::agent_built_in(agent_id)),
            None => Ok(()),
        }
    }
}

/// The row of a new agent, not yet looked into.
fn new_record(principal: &Principal, mut request: CreateAgentRequest) -> Result<AgentRecord> {
    let owner = principal.acting_for(&request.org_id, &request.user_id)?;
    let request_id = ids::optional_uuid("request_id", &request.request_id)?;
    let agent_id = match request.agent_id.as_str() {
        "" => Uuid::new_v4().to_string(),
        own => ids::agent_id(own)?.to_owned(),
    };
    let kind = match AgentKind::try_from(request.kind) {
        Ok(AgentKind::Unspecified) => AgentKind::Agent,
        Ok(kind) => kind,
        Err(_) => {
            return Err(Problem::invalid_field(
                "kind",
                "must be AGENT_KIND_AGENT or AGENT_KIND_HARNESS",
            ));
        }
    };
    request.request_id.clear();
    let definition = request.encode_to_vec();
    let now = clock::now();
    Ok(AgentRecord {
        org_id: owner.org_id,
        agent_id,
        user_id: owner.user_id,
        kind: kind.into(),
        request_id,
        fingerprint: Sha256::digest(&definition).to_vec(),
        definition,
        labels: request.labels,
        version: 1,
        create_time: now,
        update_time: now,
    })
}

fn answer(record: &AgentRecord, outcome: InsertOutcome<AgentRecord>) -> Result<(Agent, bool)> {
    match outcome {
        InsertOutcome::Inserted => Ok((describe(record)?, false)),
        InsertOutcome::SameRequest(there) | InsertOutcome::SameId(there)
            if there.fingerprint == record.fingerprint && there.user_id == record.user_id =>
        {
            Ok((describe(&there)?, true))
        }
        InsertOutcome::SameRequest(_) => Err(problem::request_id_reused()),
        InsertOutcome::SameId(_) | InsertOutcome::SameAlias(_) | InsertOutcome::NoSession => {
            Err(problem::agent_id_reused(&record.agent_id))
        }
    }
}

/// The row on the wire.
fn describe(record: &AgentRecord) -> Result<Agent> {
    let made = definition(record)?;
    Ok(Agent {
        agent_id: record.agent_id.clone(),
        kind: record.kind,
        org_id: record.org_id.clone(),
        user_id: record.user_id.clone(),
        title: made.title,
        capabilities: made.capabilities,
        default_sandbox: made.default_sandbox,
        labels: record.labels.clone(),
        create_time: Some(clock::timestamp(record.create_time)),
        update_time: Some(clock::timestamp(record.update_time)),
        etag: etag(record),
    })
}

/// What was asked for, with later changes.
fn definition(record: &AgentRecord) -> Result<CreateAgentRequest> {
    CreateAgentRequest::decode(record.definition.as_slice())
        .map_err(|error| problem::damaged("agent row", &error))
}

fn etag(record: &AgentRecord) -> String {
    record.version.to_string()
}
