//! SQL of the clocks of sandboxes, and of who works on what is due.

use async_trait::async_trait;
use uuid::Uuid;

use super::{SqliteStore, row::SandboxRow};
use crate::store::{LifeStore, Looked, SandboxRecord, StoreError};

#[async_trait]
impl LifeStore for SqliteStore {
    async fn claim_due(
        &self,
        now: i64,
        until: i64,
        limit: u32,
    ) -> Result<Vec<SandboxRecord>, StoreError> {
        // Mostly nothing is due: then no lock for writing is taken.
        let first = sqlx::query_scalar!(
            "SELECT due_time FROM sandboxes WHERE due_time <= ? ORDER BY due_time LIMIT 1",
            now,
        );
        if first.fetch_optional(&self.readers).await?.is_none() {
            return Ok(Vec::new());
        }
        sqlx::query_as!(
            SandboxRow,
            "UPDATE sandboxes SET due_time = ?1 WHERE sandbox_id IN (
                 SELECT sandbox_id FROM sandboxes WHERE due_time <= ?2 ORDER BY due_time LIMIT ?3)
             RETURNING *",
            until,
            now,
            limit,
        )
        .fetch_all(&self.writer)
        .await?
        .into_iter()
        .map(SandboxRecord::try_from)
        .collect()
    }

    async fn finish_looks(&self, looks: &[Looked]) -> Result<(), StoreError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        for look in looks {
            let id = look.sandbox_id.to_string();
            sqlx::query!(
                "UPDATE sandboxes SET activity_time = MAX(activity_time, ?), running = ?,
                     provider_expire_time = ?, ended_cursor = ?, due_time = ?, tries = ?
                 WHERE sandbox_id = ? AND due_time = ?",
                look.activity_time,
                look.running,
                look.provider_expire_time,
                look.ended_cursor,
                look.due_time,
                look.tries,
                id,
                look.claim,
            )
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    async fn hold(&self, sandbox_ids: &[Uuid], until: i64) -> Result<(), StoreError> {
        let ids = serde_json::Value::from_iter(sandbox_ids.iter().map(Uuid::to_string)).to_string();
        // CREATING, STOPPING, PAUSING, STARTING, DELETING.
        sqlx::query!(
            "UPDATE sandboxes SET due_time = MAX(due_time, ?)
             WHERE sandbox_id IN (SELECT value FROM json_each(?)) AND state IN (1, 3, 5, 7, 8)",
            until,
            ids,
        )
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    async fn postpone(&self, sandbox_id: Uuid, next: i64) -> Result<(), StoreError> {
        let id = sandbox_id.to_string();
        sqlx::query!(
            "UPDATE sandboxes SET due_time = ?, tries = tries + 1
             WHERE sandbox_id = ? AND delete_time IS NULL",
            next,
            id,
        )
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    async fn touch(&self, uses: &[(Uuid, i64)]) -> Result<(), StoreError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        for (sandbox_id, time) in uses {
            let id = sandbox_id.to_string();
            sqlx::query!(
                "UPDATE sandboxes SET activity_time = ?1
                 WHERE sandbox_id = ?2 AND activity_time < ?1 AND delete_time IS NULL",
                time,
                id,
            )
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    async fn restart_clocks(&self, now: i64, held: i64) -> Result<(), StoreError> {
        // CREATING, STOPPING, PAUSING, STARTING, DELETING.
        sqlx::query!(
            "UPDATE sandboxes SET activity_time = ?1, state_time = ?1,
                 due_time = CASE WHEN state IN (1, 3, 5, 7, 8) THEN ?2 ELSE ?1 END
             WHERE due_time IS NOT NULL",
            now,
            held,
        )
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    async fn awake(&self, now: i64) -> Result<i64, StoreError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        let before = sqlx::query_scalar!("SELECT awake_time FROM installation")
            .fetch_one(&mut *transaction)
            .await?;
        sqlx::query!("UPDATE installation SET awake_time = ?", now)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(before)
    }

    async fn claim_comparison(
        &self,
        provider: &str,
        now: i64,
        until: i64,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query!(
            "INSERT INTO comparisons (provider, due_time) VALUES (?1, ?2)
             ON CONFLICT (provider) DO UPDATE SET due_time = ?2
             WHERE due_time <= ?3 OR due_time > ?2",
            provider,
            until,
            now,
        )
        .execute(&self.writer)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    async fn sandboxes_of_provider(
        &self,
        provider: &str,
        after: Uuid,
        limit: u32,
    ) -> Result<Vec<SandboxRecord>, StoreError> {
        let after = after.to_string();
        sqlx::query_as!(
            SandboxRow,
            "SELECT * FROM sandboxes WHERE provider = ? AND sandbox_id > ? AND delete_time IS NULL
             ORDER BY sandbox_id LIMIT ?",
            provider,
            after,
            limit,
        )
        .fetch_all(&self.readers)
        .await?
        .into_iter()
        .map(SandboxRecord::try_from)
        .collect()
    }

    async fn sandboxes_among(&self, ids: &[Uuid]) -> Result<Vec<SandboxRecord>, StoreError> {
        let ids = serde_json::Value::from_iter(ids.iter().map(Uuid::to_string)).to_string();
        sqlx::query_as!(
            SandboxRow,
            "SELECT * FROM sandboxes WHERE sandbox_id IN (SELECT value FROM json_each(?))",
            ids,
        )
        .fetch_all(&self.readers)
        .await?
        .into_iter()
        .map(SandboxRecord::try_from)
        .collect()
    }

    async fn set_absent(&self, sandbox_id: Uuid, since: Option<i64>) -> Result<(), StoreError> {
        let id = sandbox_id.to_string();
        sqlx::query!(
            "UPDATE sandboxes SET absent_time = ? WHERE sandbox_id = ?",
            since,
            id,
        )
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    async fn boots(&self, sandbox_id: Uuid) -> Result<Option<i64>, StoreError> {
        let id = sandbox_id.to_string();
        // RUNNING.
        let boots = sqlx::query_scalar!(
            "SELECT boots FROM sandboxes WHERE sandbox_id = ? AND state = 2",
            id,
        );
        Ok(boots.fetch_optional(&self.readers).await?)
    }

    async fn drop_tombstones_before(&self, time: i64, limit: u32) -> Result<u64, StoreError> {
        let done = sqlx::query!(
            "DELETE FROM sandboxes WHERE sandbox_id IN (
                 SELECT sandbox_id FROM sandboxes WHERE delete_time < ? LIMIT ?)",
            time,
            limit,
        )
        .execute(&self.writer)
        .await?;
        Ok(done.rows_affected())
    }
}
