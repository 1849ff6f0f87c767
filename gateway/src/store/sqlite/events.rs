//! SQL of the events of sessions.

use async_trait::async_trait;
use sqlx::{Sqlite, Transaction};
use tokio::sync::broadcast;
use uuid::Uuid;

use super::{SqliteStore, row};
use crate::store::{EventRecord, EventStore, NewEvent, StoreError};

/// Adds an event to the transaction of what it tells.
pub(super) async fn append(
    transaction: &mut Transaction<'_, Sqlite>,
    event: Option<&NewEvent>,
) -> Result<bool, StoreError> {
    let Some(event) = event else { return Ok(false) };
    let session_id = event.session_id.to_string();
    let sandbox_id = event.sandbox_id.map(|id| id.to_string());
    let sandbox_id = sandbox_id.unwrap_or_default();
    let done = sqlx::query!(
        "INSERT INTO session_events (session_id, sandbox_id, time, once, payload)
         VALUES (?, ?, ?, ?, ?)
         ON CONFLICT (session_id, once) WHERE once IS NOT NULL DO NOTHING",
        session_id,
        sandbox_id,
        event.time,
        event.once,
        event.payload,
    )
    .execute(&mut **transaction)
    .await?;
    Ok(done.rows_affected() == 1)
}

impl SqliteStore {
    /// Says that a session got an event; nobody need listen.
    pub(super) fn tell(&self, event: Option<&NewEvent>) {
        if let Some(event) = event {
            let _ = self.told.send(event.session_id);
        }
    }
}

#[async_trait]
impl EventStore for SqliteStore {
    async fn append_events(&self, events: &[NewEvent]) -> Result<usize, StoreError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        let mut added = Vec::new();
        for event in events {
            if append(&mut transaction, Some(event)).await? {
                added.push(event);
            }
        }
        transaction.commit().await?;
        for event in &added {
            self.tell(Some(event));
        }
        Ok(added.len())
    }

    async fn events_after(
        &self,
        session_id: Uuid,
        seq: i64,
        limit: u32,
    ) -> Result<Vec<EventRecord>, StoreError> {
        let id = session_id.to_string();
        sqlx::query!(
            "SELECT seq, sandbox_id, payload FROM session_events
             WHERE session_id = ? AND seq > ? ORDER BY seq LIMIT ?",
            id,
            seq,
            limit,
        )
        .fetch_all(&self.readers)
        .await?
        .into_iter()
        .map(|found| {
            let sandbox_id = match found.sandbox_id.as_str() {
                "" => None,
                id => Some(row::uuid(id)?),
            };
            Ok(EventRecord {
                seq: found.seq,
                sandbox_id,
                payload: found.payload,
            })
        })
        .collect()
    }

    async fn sessions_after(&self, seq: i64, limit: u32) -> Result<Vec<(i64, Uuid)>, StoreError> {
        sqlx::query!(
            "SELECT seq, session_id FROM session_events WHERE seq > ? ORDER BY seq LIMIT ?",
            seq,
            limit,
        )
        .fetch_all(&self.readers)
        .await?
        .into_iter()
        .map(|found| Ok((found.seq, row::uuid(&found.session_id)?)))
        .collect()
    }

    async fn last_event_seq(&self) -> Result<i64, StoreError> {
        // What SQLite counts on from, also where every event was removed.
        let last = sqlx::query_scalar!(
            r#"SELECT MAX(seq) AS "seq: i64" FROM sqlite_sequence WHERE name = 'session_events'"#
        )
        .fetch_one(&self.readers)
        .await?;
        Ok(last.unwrap_or_default())
    }

    async fn first_event_seq(&self) -> Result<i64, StoreError> {
        let first = sqlx::query_scalar!(r#"SELECT MIN(seq) AS "seq: i64" FROM session_events"#)
            .fetch_one(&self.readers)
            .await?;
        match first {
            Some(first) => Ok(first),
            None => Ok(self.last_event_seq().await? + 1),
        }
    }

    async fn drop_events_before(&self, time: i64, limit: u32) -> Result<u64, StoreError> {
        // The oldest first, so that what is kept has no holes.
        let done = sqlx::query!(
            "DELETE FROM session_events WHERE time < ?1 AND seq IN
                 (SELECT seq FROM session_events ORDER BY seq LIMIT ?2)",
            time,
            limit,
        )
        .execute(&self.writer)
        .await?;
        Ok(done.rows_affected())
    }

    fn hear(&self) -> broadcast::Receiver<Uuid> {
        self.told.subscribe()
    }
}
