//! SQL of executions that outlive their sandboxes.

use std::collections::BTreeSet;

use async_trait::async_trait;
use sqlx::{Sqlite, Transaction};
use uuid::Uuid;

use super::{SqliteStore, row, values::session_lives};
use crate::store::{KeptPage, KeptRecord, KeptStore, StoreError};

/// A row of `kept_executions`.
struct KeptRow {
    sandbox_id: String,
    execution_id: String,
    session_id: String,
    org_id: String,
    generation: i64,
    boots: i64,
    start_time: i64,
    end_time: i64,
    expire_time: i64,
    size: i64,
    key_id: String,
    sealed: Vec<u8>,
}

#[async_trait]
impl KeptStore for SqliteStore {
    async fn keep_executions(&self, records: &[KeptRecord], most: u32) -> Result<(), StoreError> {
        let Some(first) = records.first() else {
            return Ok(());
        };
        let (session_id, sandbox_id) = (first.session_id.to_string(), first.sandbox_id.to_string());
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        if !session_lives(&mut transaction, &session_id).await? {
            return Ok(());
        }
        for record in records {
            insert(&mut transaction, record).await?;
        }
        sqlx::query!(
            "DELETE FROM kept_executions WHERE rowid IN (
                 SELECT rowid FROM kept_executions WHERE sandbox_id = ?1
                 ORDER BY end_time DESC, rowid DESC LIMIT -1 OFFSET ?2)",
            sandbox_id,
            most,
        )
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn kept_ids(&self, sandbox_id: Uuid) -> Result<BTreeSet<String>, StoreError> {
        let sandbox_id = sandbox_id.to_string();
        let ids = sqlx::query_scalar!(
            "SELECT execution_id FROM kept_executions WHERE sandbox_id = ?",
            sandbox_id,
        )
        .fetch_all(&self.readers)
        .await?;
        Ok(ids.into_iter().collect())
    }

    async fn kept_execution(
        &self,
        session_id: Uuid,
        sandbox_id: Uuid,
        execution_id: &str,
        now: i64,
    ) -> Result<Option<KeptRecord>, StoreError> {
        let (session_id, sandbox_id) = (session_id.to_string(), sandbox_id.to_string());
        sqlx::query_as!(
            KeptRow,
            "SELECT * FROM kept_executions
             WHERE sandbox_id = ? AND execution_id = ? AND session_id = ? AND expire_time > ?",
            sandbox_id,
            execution_id,
            session_id,
            now,
        )
        .fetch_optional(&self.readers)
        .await?
        .map(KeptRecord::try_from)
        .transpose()
    }

    async fn list_kept(&self, page: &KeptPage) -> Result<Vec<KeptRecord>, StoreError> {
        let (session_id, sandbox_id) = (page.session_id.to_string(), page.sandbox_id.to_string());
        let after = page.after.as_ref();
        let time = after.map_or(i64::MAX, |after| after.time);
        let id = after.map(|after| after.id.as_str());
        sqlx::query_as!(
            KeptRow,
            "SELECT * FROM kept_executions
             WHERE sandbox_id = ?1 AND session_id = ?2 AND expire_time > ?3
               AND (?5 IS NULL OR (start_time, execution_id) < (?4, ?5))
             ORDER BY start_time DESC, execution_id DESC LIMIT ?6",
            sandbox_id,
            session_id,
            page.now,
            time,
            id,
            page.limit,
        )
        .fetch_all(&self.readers)
        .await?
        .into_iter()
        .map(KeptRecord::try_from)
        .collect()
    }

    async fn drop_kept_of_session(&self, session_id: Uuid) -> Result<(), StoreError> {
        let session_id = session_id.to_string();
        sqlx::query!(
            "DELETE FROM kept_executions WHERE session_id = ?",
            session_id
        )
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    async fn drop_kept_before(&self, time: i64, limit: u32) -> Result<u64, StoreError> {
        let done = sqlx::query!(
            "DELETE FROM kept_executions WHERE rowid IN
                 (SELECT rowid FROM kept_executions WHERE expire_time < ? LIMIT ?)",
            time,
            limit,
        )
        .execute(&self.writer)
        .await?;
        Ok(done.rows_affected())
    }

    async fn kept_not_under(
        &self,
        key_id: &str,
        after: (Uuid, &str),
        limit: u32,
    ) -> Result<Vec<KeptRecord>, StoreError> {
        let (sandbox_id, execution_id) = (after.0.to_string(), after.1);
        sqlx::query_as!(
            KeptRow,
            "SELECT * FROM kept_executions
             WHERE key_id <> ? AND (sandbox_id, execution_id) > (?, ?)
             ORDER BY sandbox_id, execution_id LIMIT ?",
            key_id,
            sandbox_id,
            execution_id,
            limit,
        )
        .fetch_all(&self.readers)
        .await?
        .into_iter()
        .map(KeptRecord::try_from)
        .collect()
    }

    async fn reseal_kept(
        &self,
        record: &KeptRecord,
        new: &[u8],
        key_id: &str,
    ) -> Result<bool, StoreError> {
        let sandbox_id = record.sandbox_id.to_string();
        let done = sqlx::query!(
            "UPDATE kept_executions SET sealed = ?, key_id = ?
             WHERE sandbox_id = ? AND execution_id = ? AND sealed = ?",
            new,
            key_id,
            sandbox_id,
            record.execution_id,
            record.sealed,
        )
        .execute(&self.writer)
        .await?;
        Ok(done.rows_affected() == 1)
    }
}

async fn insert(
    transaction: &mut Transaction<'_, Sqlite>,
    record: &KeptRecord,
) -> Result<(), StoreError> {
    let (sandbox_id, session_id) = (record.sandbox_id.to_string(), record.session_id.to_string());
    sqlx::query!(
        "INSERT OR IGNORE INTO kept_executions (sandbox_id, execution_id, session_id, org_id,
             generation, boots, start_time, end_time, expire_time, size, key_id, sealed)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        sandbox_id,
        record.execution_id,
        session_id,
        record.org_id,
        record.generation,
        record.boots,
        record.start_time,
        record.end_time,
        record.expire_time,
        record.size,
        record.key_id,
        record.sealed,
    )
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

impl TryFrom<KeptRow> for KeptRecord {
    type Error = StoreError;

    fn try_from(row: KeptRow) -> Result<Self, StoreError> {
        Ok(Self {
            sandbox_id: row::uuid(&row.sandbox_id)?,
            execution_id: row.execution_id,
            session_id: row::uuid(&row.session_id)?,
            org_id: row.org_id,
            generation: row.generation,
            boots: row.boots,
            start_time: row.start_time,
            end_time: row.end_time,
            expire_time: row.expire_time,
            size: row.size,
            key_id: row.key_id,
            sealed: row.sealed,
        })
    }
}
