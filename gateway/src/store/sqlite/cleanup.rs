//! SQL of what is left to do for sessions that ended.

use std::collections::BTreeMap;

use async_trait::async_trait;
use uuid::Uuid;

use super::{
    SqliteStore, events,
    row::{self, SessionRow},
    sessions,
};
use crate::store::{
    InsertOutcome, NewEvent, SessionChanges, SessionRecord, SessionStore, StoreError,
};

#[async_trait]
impl SessionStore for SqliteStore {
    async fn same_session(
        &self,
        session: &SessionRecord,
    ) -> Result<Option<InsertOutcome<SessionRecord>>, StoreError> {
        sessions::in_the_way(&self.readers, session).await
    }

    async fn change_session(
        &self,
        session_id: Uuid,
        version: i64,
        changes: &SessionChanges,
    ) -> Result<Option<SessionRecord>, StoreError> {
        sessions::change(&self.writer, session_id, version, changes).await
    }

    async fn sandboxes_by_alias(
        &self,
        session_ids: &[Uuid],
        alias: &str,
    ) -> Result<BTreeMap<Uuid, Uuid>, StoreError> {
        let ids = session_ids.iter().map(Uuid::to_string);
        let ids = serde_json::Value::from_iter(ids).to_string();
        let rows = sqlx::query!(
            "SELECT session_id, sandbox_id FROM sandboxes
             WHERE session_id IN (SELECT value FROM json_each(?)) AND alias = ?
               AND delete_time IS NULL",
            ids,
            alias,
        )
        .fetch_all(&self.readers)
        .await?;
        rows.iter()
            .map(|found| Ok((row::uuid(&found.session_id)?, row::uuid(&found.sandbox_id)?)))
            .collect()
    }

    async fn expire_sessions(
        &self,
        now: i64,
        limit: u32,
        event: fn(Uuid) -> NewEvent,
    ) -> Result<Vec<Uuid>, StoreError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        let expired = sqlx::query_scalar!(
            r#"UPDATE sessions SET delete_time = ?1, cleanup_time = ?1, version = version + 1
             WHERE session_id IN (
                 SELECT session_id FROM sessions
                 WHERE expire_time <= ?1 AND delete_time IS NULL
                 ORDER BY expire_time LIMIT ?2)
             RETURNING session_id AS "session_id!""#,
            now,
            limit,
        )
        .fetch_all(&mut *transaction)
        .await?
        .iter()
        .map(|id| row::uuid(id))
        .collect::<Result<Vec<_>, _>>()?;
        let told: Vec<_> = expired.iter().copied().map(event).collect();
        for event in &told {
            events::append(&mut transaction, Some(event)).await?;
        }
        transaction.commit().await?;
        for event in &told {
            self.tell(Some(event));
        }
        Ok(expired)
    }

    async fn sessions_to_clean(
        &self,
        now: i64,
        limit: u32,
    ) -> Result<Vec<SessionRecord>, StoreError> {
        sqlx::query_as!(
            SessionRow,
            "SELECT * FROM sessions WHERE cleanup_time <= ? ORDER BY cleanup_time LIMIT ?",
            now,
            limit,
        )
        .fetch_all(&self.readers)
        .await?
        .into_iter()
        .map(SessionRecord::try_from)
        .collect()
    }

    async fn claim_cleanup(
        &self,
        session_id: Uuid,
        seen: i64,
        until: i64,
    ) -> Result<bool, StoreError> {
        let id = session_id.to_string();
        let done = sqlx::query!(
            "UPDATE sessions SET cleanup_time = ? WHERE session_id = ? AND cleanup_time = ?",
            until,
            id,
            seen,
        )
        .execute(&self.writer)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    async fn postpone_cleanup(
        &self,
        session_id: Uuid,
        claimed: i64,
        next: i64,
    ) -> Result<bool, StoreError> {
        let id = session_id.to_string();
        let done = sqlx::query!(
            "UPDATE sessions SET cleanup_time = ?, cleanup_tries = cleanup_tries + 1
             WHERE session_id = ? AND cleanup_time = ?",
            next,
            id,
            claimed,
        )
        .execute(&self.writer)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    async fn end_cleanup(&self, session_id: Uuid, claimed: i64) -> Result<bool, StoreError> {
        let id = session_id.to_string();
        let done = sqlx::query!(
            "UPDATE sessions SET cleanup_time = NULL
             WHERE session_id = ?1 AND cleanup_time = ?2
               AND NOT EXISTS (
                   SELECT 1 FROM sandboxes WHERE session_id = ?1 AND delete_time IS NULL)",
            id,
            claimed,
        )
        .execute(&self.writer)
        .await?;
        Ok(done.rows_affected() == 1)
    }
}
