//! SQL of audit events.

use async_trait::async_trait;

use super::SqliteStore;
use crate::store::{AuditFilter, AuditRecord, AuditStore, StoreError};

/// A row of `audit_events`.
struct AuditRow {
    seq: i64,
    event_id: String,
    time: i64,
    org_id: String,
    user_id: String,
    session_id: String,
    sandbox_id: String,
    execution_id: String,
    principal: String,
    method: String,
    target: String,
    code: String,
    reason: String,
    request_id: String,
    peer_address: String,
    trace_id: String,
    duration: i64,
    details: String,
}

#[async_trait]
impl AuditStore for SqliteStore {
    async fn append_audit(&self, events: &[AuditRecord]) -> Result<(), StoreError> {
        let rows = serde_json::to_string(events)
            .map_err(|error| StoreError::Corrupt(format!("audit events: {error}")))?;
        // One statement for all of them: each costs a way to the database's thread and back.
        sqlx::query!(
            "INSERT INTO audit_events (event_id, time, org_id, user_id, session_id, sandbox_id,
                 execution_id, principal, method, target, code, reason, request_id, peer_address,
                 trace_id, duration, details)
             SELECT value ->> 'event_id', value ->> 'time', value ->> 'org_id',
                 value ->> 'user_id', value ->> 'session_id', value ->> 'sandbox_id',
                 value ->> 'execution_id', value ->> 'principal', value ->> 'method',
                 value ->> 'target', value ->> 'code', value ->> 'reason',
                 value ->> 'request_id', value ->> 'peer_address', value ->> 'trace_id',
                 value ->> 'duration', value -> 'details'
             FROM json_each(?)",
            rows,
        )
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    async fn list_audit(&self, filter: &AuditFilter) -> Result<Vec<AuditRecord>, StoreError> {
        let session_id = filter.session_id.map(|id| id.to_string());
        let sandbox_id = filter.sandbox_id.map(|id| id.to_string());
        let after = filter.after.unwrap_or(i64::MAX);
        let start = filter.start_time.unwrap_or(i64::MIN);
        let end = filter.end_time.unwrap_or(i64::MAX);
        // Three ways, one of which is open: by the index of sessions, of users, or by age.
        sqlx::query_as!(
            AuditRow,
            r#"SELECT seq AS "seq!", event_id AS "event_id!", time AS "time!",
                   org_id AS "org_id!", user_id AS "user_id!", session_id AS "session_id!",
                   sandbox_id AS "sandbox_id!", execution_id AS "execution_id!",
                   principal AS "principal!", method AS "method!", target AS "target!",
                   code AS "code!", reason AS "reason!", request_id AS "request_id!",
                   peer_address AS "peer_address!", trace_id AS "trace_id!",
                   duration AS "duration!", details AS "details!"
               FROM (
                   SELECT * FROM audit_events WHERE session_id = ?1 AND session_id <> ''
                       AND (?2 IS NULL OR org_id = ?2) AND (?3 IS NULL OR user_id = ?3)
                   UNION ALL
                   SELECT * FROM audit_events
                   WHERE ?1 IS NULL AND org_id = ?2 AND user_id = ?3
                   UNION ALL
                   SELECT * FROM audit_events
                   WHERE ?1 IS NULL AND (?2 IS NULL OR ?3 IS NULL)
                       AND (?2 IS NULL OR org_id = ?2) AND (?3 IS NULL OR user_id = ?3))
               WHERE seq < ?4 AND time >= ?5 AND time < ?6
                   AND (?7 IS NULL OR sandbox_id = ?7)
                   AND (?8 = '' OR method = ?8) AND (?9 = '' OR code = ?9)
               ORDER BY seq DESC LIMIT ?10"#,
            session_id,
            filter.org_id,
            filter.user_id,
            after,
            start,
            end,
            sandbox_id,
            filter.method,
            filter.code,
            filter.limit,
        )
        .fetch_all(&self.readers)
        .await?
        .into_iter()
        .map(AuditRecord::try_from)
        .collect()
    }

    async fn drop_audit_before(&self, time: i64, limit: u32) -> Result<u64, StoreError> {
        // Events are as good as in the order of their times, and only the oldest are looked at.
        let done = sqlx::query!(
            "DELETE FROM audit_events WHERE time < ?1 AND seq IN
                 (SELECT seq FROM audit_events ORDER BY seq LIMIT ?2)",
            time,
            limit,
        )
        .execute(&self.writer)
        .await?;
        Ok(done.rows_affected())
    }
}

impl TryFrom<AuditRow> for AuditRecord {
    type Error = StoreError;

    fn try_from(row: AuditRow) -> Result<Self, StoreError> {
        let details = serde_json::from_str(&row.details)
            .map_err(|_| StoreError::Corrupt(row.event_id.clone()))?;
        Ok(Self {
            seq: row.seq,
            event_id: row.event_id,
            time: row.time,
            org_id: row.org_id,
            user_id: row.user_id,
            session_id: row.session_id,
            sandbox_id: row.sandbox_id,
            execution_id: row.execution_id,
            principal: row.principal,
            method: row.method,
            target: row.target,
            code: row.code,
            reason: row.reason,
            request_id: row.request_id,
            peer_address: row.peer_address,
            trace_id: row.trace_id,
            duration: row.duration,
            details,
        })
    }
}
