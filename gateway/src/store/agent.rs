//! Agents and harnesses, as the store keeps them.

use std::collections::BTreeMap;

use async_trait::async_trait;
use uuid::Uuid;

use super::{InsertOutcome, PageKey, StoreError};

/// An agent or a harness. Times are milliseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AgentRecord {
    pub(crate) org_id: String,
    /// Unique in the organisation.
    pub(crate) agent_id: String,
    /// Who made it.
    pub(crate) user_id: String,
    /// `AgentKind` by number.
    pub(crate) kind: i32,
    pub(crate) request_id: Option<Uuid>,
    /// Digest of the request that made it.
    pub(crate) fingerprint: Vec<u8>,
    /// The request that made it, with later changes, and encoded.
    pub(crate) definition: Vec<u8>,
    pub(crate) labels: BTreeMap<String, String>,
    /// Counts changes.
    pub(crate) version: i64,
    pub(crate) create_time: i64,
    pub(crate) update_time: i64,
}

/// The columns of an agent that change. A change sets all of them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AgentChanges {
    pub(crate) definition: Vec<u8>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) update_time: i64,
}

/// Which agents of an organisation to list. Empty strings and maps, and kind 0, match everything.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AgentFilter {
    pub(crate) org_id: String,
    pub(crate) user_id: String,
    pub(crate) kind: i32,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) after: Option<PageKey>,
    pub(crate) limit: u32,
}

/// Agents and harnesses. A deleted one leaves nothing behind.
#[async_trait]
pub(crate) trait AgentStore: Send + Sync + 'static {
    /// Adds an agent, unless its id or its maker's request_id is taken: then the one that has it.
    async fn insert_agent(
        &self,
        agent: &AgentRecord,
    ) -> Result<InsertOutcome<AgentRecord>, StoreError>;

    /// What an insert of this agent would find in its place.
    async fn same_agent(
        &self,
        agent: &AgentRecord,
    ) -> Result<Option<InsertOutcome<AgentRecord>>, StoreError>;

    /// An agent of an organisation.
    async fn agent(&self, org_id: &str, agent_id: &str) -> Result<Option<AgentRecord>, StoreError>;

    /// Agents, newest first.
    async fn list_agents(&self, filter: &AgentFilter) -> Result<Vec<AgentRecord>, StoreError>;

    /// Applies changes if the row still has the version that they were made from. The row as it
    /// is then, or none where another change came first.
    async fn change_agent(
        &self,
        org_id: &str,
        agent_id: &str,
        version: i64,
        changes: &AgentChanges,
    ) -> Result<Option<AgentRecord>, StoreError>;

    /// Deletes an agent; false where there was none.
    async fn delete_agent(&self, org_id: &str, agent_id: &str) -> Result<bool, StoreError>;
}
