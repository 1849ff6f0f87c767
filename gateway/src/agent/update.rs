//! Changing an agent.

use prost::Message as _;
use sandgate_proto::v1::{Agent, UpdateAgentRequest};

use super::{Agents, definition, describe, etag};
use crate::{
    clock,
    principal::Principal,
    problem::{self, Result},
    session::{self, Mask},
    store::{AgentChanges, AgentRecord},
};

/// What can be changed.
const FIELDS: &[&str] = &["title", "capabilities", "default_sandbox", "labels"];
/// How often a change is made again because another change came first.
const TRIES: usize = 8;

impl Agents {
    /// Changes an agent of the organisation.
    pub(crate) async fn update(
        &self,
        principal: &Principal,
        request: UpdateAgentRequest,
    ) -> Result<Agent> {
        let org_id = principal.acting_for(&request.org_id, "")?.org_id;
        self.refuse_preset(&org_id, &request.agent_id)?;
        for _ in 0..TRIES {
            let found = self.store.agent(&org_id, &request.agent_id).await?;
            let agent = found.ok_or_else(|| problem::agent_not_found(&request.agent_id))?;
            if !request.if_match.is_empty() && request.if_match != etag(&agent) {
                return Err(problem::etag_mismatch());
            }
            let changes = self.changes(&agent, request.clone())?;
            if (&changes.definition, &changes.labels) == (&agent.definition, &agent.labels) {
                return describe(&agent);
            }
            let changed = self
                .store
                .change_agent(&org_id, &agent.agent_id, agent.version, &changes)
                .await?;
            if let Some(changed) = changed {
                return describe(&changed);
            }
        }
        Err(problem::etag_mismatch())
    }

    fn changes(&self, agent: &AgentRecord, request: UpdateAgentRequest) -> Result<AgentChanges> {
        let mask = Mask::of(request.update_mask, FIELDS)?;
        let mut definition = definition(agent)?;
        let mut labels = agent.labels.clone();
        if mask.takes("title", !request.title.is_empty()) {
            session::check_title("title", &request.title)?;
            definition.title = request.title;
        }
        if mask.takes("capabilities", !request.capabilities.is_empty()) {
            self.capabilities.check(&request.capabilities)?;
            definition.capabilities = request.capabilities;
        }
        if mask.takes("default_sandbox", request.default_sandbox.is_some()) {
            definition.default_sandbox = request.default_sandbox;
        }
        if mask.takes("labels", !request.labels.is_empty()) {
            session::check_labels(&request.labels)?;
            labels = request.labels;
        }
        Ok(AgentChanges {
            definition: definition.encode_to_vec(),
            labels,
            update_time: clock::now(),
        })
    }
}
