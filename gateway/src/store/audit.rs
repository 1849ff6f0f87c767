//! Audit events, as the store keeps them.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::Serialize;
use uuid::Uuid;

use super::StoreError;

/// One act. Ids that it was not about are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct AuditRecord {
    /// Its place in the log; given by the store.
    #[serde(skip)]
    pub(crate) seq: i64,
    pub(crate) event_id: String,
    pub(crate) time: i64,
    pub(crate) org_id: String,
    pub(crate) user_id: String,
    pub(crate) session_id: String,
    pub(crate) sandbox_id: String,
    pub(crate) execution_id: String,
    pub(crate) principal: String,
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) code: String,
    pub(crate) reason: String,
    pub(crate) request_id: String,
    pub(crate) peer_address: String,
    pub(crate) trace_id: String,
    /// Microseconds.
    pub(crate) duration: i64,
    pub(crate) details: BTreeMap<String, String>,
}

/// Which events to list. What is empty or none matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AuditFilter {
    pub(crate) org_id: Option<String>,
    pub(crate) user_id: Option<String>,
    pub(crate) session_id: Option<Uuid>,
    pub(crate) sandbox_id: Option<Uuid>,
    pub(crate) method: String,
    pub(crate) code: String,
    /// At or after.
    pub(crate) start_time: Option<i64>,
    /// Before.
    pub(crate) end_time: Option<i64>,
    /// The event before which the list goes on.
    pub(crate) after: Option<i64>,
    pub(crate) limit: u32,
}

/// Who did what; rows are only ever added, and removed when too old.
#[async_trait]
pub(crate) trait AuditStore: Send + Sync + 'static {
    /// Adds events, all or none.
    async fn append_audit(&self, events: &[AuditRecord]) -> Result<(), StoreError>;

    /// Events, newest first.
    async fn list_audit(&self, filter: &AuditFilter) -> Result<Vec<AuditRecord>, StoreError>;

    /// Removes those of the oldest events that are from before a time: at most `limit`; how many.
    async fn drop_audit_before(&self, time: i64, limit: u32) -> Result<u64, StoreError>;
}
