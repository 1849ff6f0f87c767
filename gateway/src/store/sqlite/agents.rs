//! SQL of agents and harnesses.

use async_trait::async_trait;
use sqlx::SqliteExecutor;

use super::{
    SqliteStore,
    row::{self, AgentRow},
};
use crate::store::{AgentChanges, AgentFilter, AgentRecord, AgentStore, InsertOutcome, StoreError};

#[async_trait]
impl AgentStore for SqliteStore {
    async fn insert_agent(
        &self,
        agent: &AgentRecord,
    ) -> Result<InsertOutcome<AgentRecord>, StoreError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        if let Some(there) = in_the_way(&mut *transaction, agent).await? {
            return Ok(there);
        }
        let request_id = agent.request_id.map(|id| id.to_string());
        let labels = row::json(&agent.labels);
        sqlx::query!(
            "INSERT INTO agents (org_id, agent_id, user_id, kind, request_id, fingerprint,
                 definition, labels, version, create_time, update_time)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            agent.org_id,
            agent.agent_id,
            agent.user_id,
            agent.kind,
            request_id,
            agent.fingerprint,
            agent.definition,
            labels,
            agent.version,
            agent.create_time,
            agent.update_time,
        )
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(InsertOutcome::Inserted)
    }

    async fn same_agent(
        &self,
        agent: &AgentRecord,
    ) -> Result<Option<InsertOutcome<AgentRecord>>, StoreError> {
        in_the_way(&self.readers, agent).await
    }

    async fn agent(&self, org_id: &str, agent_id: &str) -> Result<Option<AgentRecord>, StoreError> {
        find(&self.readers, org_id, agent_id).await
    }

    async fn list_agents(&self, filter: &AgentFilter) -> Result<Vec<AgentRecord>, StoreError> {
        let labels = row::json(&filter.labels);
        let (after_time, after_id) = super::sandboxes::page_start(filter.after.as_ref());
        sqlx::query_as!(
            AgentRow,
            "SELECT * FROM agents
             WHERE org_id = ?1 AND (?2 = '' OR user_id = ?2) AND (?3 = 0 OR kind = ?3)
               AND (create_time, agent_id) < (?4, ?5)
               AND NOT EXISTS (
                   SELECT 1 FROM json_each(?6) AS want WHERE NOT EXISTS (
                       SELECT 1 FROM json_each(agents.labels) AS have
                       WHERE have.key = want.key AND have.value = want.value))
             ORDER BY create_time DESC, agent_id DESC LIMIT ?7",
            filter.org_id,
            filter.user_id,
            filter.kind,
            after_time,
            after_id,
            labels,
            filter.limit,
        )
        .fetch_all(&self.readers)
        .await?
        .into_iter()
        .map(AgentRecord::try_from)
        .collect()
    }

    async fn change_agent(
        &self,
        org_id: &str,
        agent_id: &str,
        version: i64,
        changes: &AgentChanges,
    ) -> Result<Option<AgentRecord>, StoreError> {
        let labels = row::json(&changes.labels);
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        let done = sqlx::query!(
            "UPDATE agents SET definition = ?, labels = ?, update_time = ?, version = version + 1
             WHERE org_id = ? AND agent_id = ? AND version = ?",
            changes.definition,
            labels,
            changes.update_time,
            org_id,
            agent_id,
            version,
        )
        .execute(&mut *transaction)
        .await?;
        if done.rows_affected() == 0 {
            return Ok(None);
        }
        let changed = find(&mut *transaction, org_id, agent_id).await?;
        transaction.commit().await?;
        Ok(changed)
    }

    async fn delete_agent(&self, org_id: &str, agent_id: &str) -> Result<bool, StoreError> {
        let done = sqlx::query!(
            "DELETE FROM agents WHERE org_id = ? AND agent_id = ?",
            org_id,
            agent_id,
        )
        .execute(&self.writer)
        .await?;
        Ok(done.rows_affected() == 1)
    }
}

/// The row that has the id or the request_id already.
async fn in_the_way(
    executor: impl SqliteExecutor<'_>,
    agent: &AgentRecord,
) -> Result<Option<InsertOutcome<AgentRecord>>, StoreError> {
    let request_id = agent.request_id.map(|id| id.to_string());
    let found = sqlx::query_as!(
        AgentRow,
        "SELECT * FROM agents
         WHERE org_id = ?1 AND (agent_id = ?2 OR (user_id = ?3 AND request_id = ?4))
         ORDER BY agent_id = ?2",
        agent.org_id,
        agent.agent_id,
        agent.user_id,
        request_id,
    )
    .fetch_optional(executor)
    .await?;
    let Some(found) = found else { return Ok(None) };
    let record = AgentRecord::try_from(found)?;
    let same_request = agent.request_id.is_some()
        && record.request_id == agent.request_id
        && record.user_id == agent.user_id;
    Ok(Some(match same_request {
        true => InsertOutcome::SameRequest(record),
        false => InsertOutcome::SameId(record),
    }))
}

async fn find(
    executor: impl SqliteExecutor<'_>,
    org_id: &str,
    agent_id: &str,
) -> Result<Option<AgentRecord>, StoreError> {
    sqlx::query_as!(
        AgentRow,
        "SELECT * FROM agents WHERE org_id = ? AND agent_id = ?",
        org_id,
        agent_id,
    )
    .fetch_optional(executor)
    .await?
    .map(AgentRecord::try_from)
    .transpose()
}
