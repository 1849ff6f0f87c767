//! AgentService.

use std::sync::Arc;

use sandgate_proto::{
    Problem,
    v1::{self, AgentKind, agent_service_server::AgentService},
};
use tonic::{Request, Response, Status};

use super::{page::Page, principal};
use crate::{
    agent::{Agents, Filter},
    clock,
    facts::Made,
    problem,
    store::PageKey,
};

/// AgentService over the agents.
pub(crate) struct AgentRpc {
    agents: Arc<Agents>,
}

impl AgentRpc {
    pub(crate) fn new(agents: Arc<Agents>) -> Self {
        Self { agents }
    }
}

#[tonic::async_trait]
impl AgentService for AgentRpc {
    async fn create_agent(
        &self,
        request: Request<v1::CreateAgentRequest>,
    ) -> Result<Response<v1::CreateAgentResponse>, Status> {
        let principal = principal(&request)?;
        let (agent, replayed) = self.agents.create(&principal, request.into_inner()).await?;
        let made = Made {
            target: agent.agent_id.clone(),
            ..Made::default()
        };
        let agent = Some(agent);
        let answer = v1::CreateAgentResponse { agent, replayed };
        Ok(super::made(answer, made))
    }

    async fn get_agent(
        &self,
        request: Request<v1::GetAgentRequest>,
    ) -> Result<Response<v1::GetAgentResponse>, Status> {
        let principal = principal(&request)?;
        let asked = request.into_inner();
        let agent = self
            .agents
            .get(&principal, &asked.org_id, &asked.agent_id)
            .await?;
        let agent = Some(agent);
        Ok(Response::new(v1::GetAgentResponse { agent }))
    }

    async fn list_agents(
        &self,
        request: Request<v1::ListAgentsRequest>,
    ) -> Result<Response<v1::ListAgentsResponse>, Status> {
        let principal = principal(&request)?;
        let mut asked = request.into_inner();
        // Whose agents is the organisation's matter: who made them is only a filter.
        let org_id = principal.acting_for(&asked.org_id, "")?.org_id;
        if AgentKind::try_from(asked.kind).is_err() {
            return Err(Problem::invalid_field("kind", "must be a known AgentKind").into());
        }
        let (size, token) = (asked.page_size, std::mem::take(&mut asked.page_token));
        asked.page_size = 0;
        let page = Page::of(&principal, &asked, size, &token)?;
        let filter = Filter {
            org_id,
            user_id: asked.user_id,
            kind: asked.kind,
            labels: asked.labels,
            after: page.after.clone(),
            limit: page.limit(),
        };
        let mut agents = self.agents.list(filter).await?;
        let next_page_token = page.cut(&mut agents, |agent| PageKey {
            time: agent
                .create_time
                .and_then(clock::millis)
                .unwrap_or_default(),
            id: agent.agent_id.clone(),
        });
        Ok(Response::new(v1::ListAgentsResponse {
            agents,
            next_page_token,
        }))
    }

    async fn update_agent(
        &self,
        request: Request<v1::UpdateAgentRequest>,
    ) -> Result<Response<v1::UpdateAgentResponse>, Status> {
        let principal = principal(&request)?;
        let agent = self.agents.update(&principal, request.into_inner()).await?;
        let agent = Some(agent);
        Ok(Response::new(v1::UpdateAgentResponse { agent }))
    }

    async fn delete_agent(
        &self,
        request: Request<v1::DeleteAgentRequest>,
    ) -> Result<Response<v1::DeleteAgentResponse>, Status> {
        let principal = principal(&request)?;
        let asked = request.into_inner();
        let deleted = self
            .agents
            .delete(&principal, &asked.org_id, &asked.agent_id)
            .await?;
        if !deleted && !asked.allow_missing {
            return Err(problem::agent_not_found(&asked.agent_id).into());
        }
        Ok(Response::new(v1::DeleteAgentResponse {}))
    }
}
