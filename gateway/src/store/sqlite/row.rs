//! Rows as SQLite holds them, turned into records.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::store::{AgentRecord, SandboxRecord, SessionRecord, StoreError, ValueKind, ValueRecord};

/// A row of `sessions`.
pub(super) struct SessionRow {
    pub(super) session_id: String,
    pub(super) org_id: String,
    pub(super) user_id: String,
    pub(super) request_id: Option<String>,
    pub(super) fingerprint: Vec<u8>,
    pub(super) definition: Vec<u8>,
    pub(super) agent_id: String,
    pub(super) harness_id: String,
    pub(super) labels: String,
    pub(super) version: i64,
    pub(super) create_time: i64,
    pub(super) update_time: i64,
    pub(super) expire_time: Option<i64>,
    pub(super) delete_time: Option<i64>,
    pub(super) cleanup_time: Option<i64>,
    pub(super) cleanup_tries: i64,
}

/// A row of `agents`.
pub(super) struct AgentRow {
    pub(super) org_id: String,
    pub(super) agent_id: String,
    pub(super) user_id: String,
    pub(super) kind: i64,
    pub(super) request_id: Option<String>,
    pub(super) fingerprint: Vec<u8>,
    pub(super) definition: Vec<u8>,
    pub(super) labels: String,
    pub(super) version: i64,
    pub(super) create_time: i64,
    pub(super) update_time: i64,
}

/// A row of `sandboxes`.
pub(super) struct SandboxRow {
    pub(super) sandbox_id: String,
    pub(super) session_id: String,
    pub(super) alias: Option<String>,
    pub(super) request_id: Option<String>,
    pub(super) fingerprint: Vec<u8>,
    pub(super) provider: String,
    pub(super) spec: Vec<u8>,
    pub(super) labels: String,
    pub(super) state: i64,
    pub(super) reason_code: String,
    pub(super) reason_message: String,
    pub(super) generation: i64,
    pub(super) version: i64,
    pub(super) provider_sandbox_id: String,
    pub(super) instance_id: String,
    pub(super) provider_state: Vec<u8>,
    pub(super) org_id: String,
    pub(super) credential_id: Option<String>,
    pub(super) state_key_id: String,
    pub(super) workspace_path: String,
    pub(super) home_path: String,
    pub(super) create_time: i64,
    pub(super) start_time: Option<i64>,
    pub(super) delete_time: Option<i64>,
    pub(super) state_time: i64,
    pub(super) activity_time: i64,
    pub(super) running: i64,
    pub(super) provider_expire_time: Option<i64>,
    pub(super) due_time: Option<i64>,
    pub(super) tries: i64,
    pub(super) ended_cursor: String,
    pub(super) absent_time: Option<i64>,
    pub(super) boots: i64,
}

/// A row of `sealed_values`.
pub(super) struct ValueRow {
    pub(super) value_id: String,
    pub(super) org_id: String,
    pub(super) owner: String,
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) active: i64,
    pub(super) sealed: Vec<u8>,
    pub(super) key_id: String,
    pub(super) size: i64,
    pub(super) hint: String,
    pub(super) update_time: i64,
    pub(super) validate_time: Option<i64>,
}

pub(super) fn uuid(text: &str) -> Result<Uuid, StoreError> {
    Uuid::parse_str(text).map_err(|_| StoreError::Corrupt(text.to_owned()))
}

pub(super) fn json(labels: &BTreeMap<String, String>) -> String {
    serde_json::Value::from_iter(labels.clone()).to_string()
}

fn labels(text: &str, id: &str) -> Result<BTreeMap<String, String>, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Corrupt(id.to_owned()))
}

impl TryFrom<SessionRow> for SessionRecord {
    type Error = StoreError;

    fn try_from(row: SessionRow) -> Result<Self, StoreError> {
        Ok(Self {
            labels: labels(&row.labels, &row.session_id)?,
            session_id: uuid(&row.session_id)?,
            org_id: row.org_id,
            user_id: row.user_id,
            request_id: row.request_id.as_deref().map(uuid).transpose()?,
            fingerprint: row.fingerprint,
            definition: row.definition,
            agent_id: row.agent_id,
            harness_id: row.harness_id,
            version: row.version,
            create_time: row.create_time,
            update_time: row.update_time,
            expire_time: row.expire_time,
            delete_time: row.delete_time,
            cleanup_time: row.cleanup_time,
            cleanup_tries: row.cleanup_tries,
        })
    }
}

impl TryFrom<AgentRow> for AgentRecord {
    type Error = StoreError;

    fn try_from(row: AgentRow) -> Result<Self, StoreError> {
        Ok(Self {
            labels: labels(&row.labels, &row.agent_id)?,
            kind: i32::try_from(row.kind).map_err(|_| StoreError::Corrupt(row.agent_id.clone()))?,
            org_id: row.org_id,
            agent_id: row.agent_id,
            user_id: row.user_id,
            request_id: row.request_id.as_deref().map(uuid).transpose()?,
            fingerprint: row.fingerprint,
            definition: row.definition,
            version: row.version,
            create_time: row.create_time,
            update_time: row.update_time,
        })
    }
}

impl TryFrom<SandboxRow> for SandboxRecord {
    type Error = StoreError;

    fn try_from(row: SandboxRow) -> Result<Self, StoreError> {
        Ok(Self {
            labels: labels(&row.labels, &row.sandbox_id)?,
            state: i32::try_from(row.state)
                .map_err(|_| StoreError::Corrupt(row.sandbox_id.clone()))?,
            sandbox_id: uuid(&row.sandbox_id)?,
            session_id: uuid(&row.session_id)?,
            alias: row.alias,
            request_id: row.request_id.as_deref().map(uuid).transpose()?,
            fingerprint: row.fingerprint,
            provider: row.provider,
            spec: row.spec,
            reason_code: row.reason_code,
            reason_message: row.reason_message,
            generation: row.generation,
            version: row.version,
            provider_sandbox_id: row.provider_sandbox_id,
            instance_id: row.instance_id,
            org_id: row.org_id,
            credential_id: row.credential_id.as_deref().map(uuid).transpose()?,
            provider_state: row.provider_state,
            state_key_id: row.state_key_id,
            workspace_path: row.workspace_path,
            home_path: row.home_path,
            create_time: row.create_time,
            start_time: row.start_time,
            delete_time: row.delete_time,
            state_time: row.state_time,
            activity_time: row.activity_time,
            running: row.running,
            provider_expire_time: row.provider_expire_time,
            due_time: row.due_time,
            tries: row.tries,
            ended_cursor: row.ended_cursor,
            absent_time: row.absent_time,
            boots: row.boots,
        })
    }
}

impl TryFrom<ValueRow> for ValueRecord {
    type Error = StoreError;

    fn try_from(row: ValueRow) -> Result<Self, StoreError> {
        Ok(Self {
            kind: ValueKind::from_name(&row.kind)
                .ok_or_else(|| StoreError::Corrupt(row.value_id.clone()))?,
            value_id: uuid(&row.value_id)?,
            org_id: row.org_id,
            owner: row.owner,
            name: row.name,
            active: row.active == 1,
            sealed: row.sealed,
            key_id: row.key_id,
            size: row.size,
            hint: row.hint,
            update_time: row.update_time,
            validate_time: row.validate_time,
        })
    }
}
