//! SQL of answers kept for repeated requests.

use async_trait::async_trait;
use uuid::Uuid;

use super::SqliteStore;
use crate::{
    principal::Owner,
    store::{AnswerRecord, RequestStore, StoreError},
};

#[async_trait]
impl RequestStore for SqliteStore {
    async fn answer(
        &self,
        owner: &Owner,
        request_id: Uuid,
    ) -> Result<Option<AnswerRecord>, StoreError> {
        let request_id = request_id.to_string();
        Ok(sqlx::query_as!(
            AnswerRecord,
            "SELECT method, fingerprint, answer, create_time FROM requests
             WHERE org_id = ? AND user_id = ? AND request_id = ?",
            owner.org_id,
            owner.user_id,
            request_id,
        )
        .fetch_optional(&self.readers)
        .await?)
    }

    async fn keep_answer(
        &self,
        owner: &Owner,
        request_id: Uuid,
        answer: &AnswerRecord,
    ) -> Result<(), StoreError> {
        let request_id = request_id.to_string();
        sqlx::query!(
            "INSERT OR IGNORE INTO requests
                 (org_id, user_id, request_id, method, fingerprint, answer, create_time)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
            owner.org_id,
            owner.user_id,
            request_id,
            answer.method,
            answer.fingerprint,
            answer.answer,
            answer.create_time,
        )
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    async fn drop_answers_before(&self, time: i64, limit: u32) -> Result<u64, StoreError> {
        let done = sqlx::query!(
            "DELETE FROM requests WHERE rowid IN
                 (SELECT rowid FROM requests WHERE create_time < ? LIMIT ?)",
            time,
            limit,
        )
        .execute(&self.writer)
        .await?;
        Ok(done.rows_affected())
    }

    async fn digest_key(&self, new: &[u8], key_id: &str) -> Result<Vec<u8>, StoreError> {
        // The row is there: the gateway's id is read before anything else.
        sqlx::query!(
            "UPDATE installation SET digest_key = ?, digest_key_id = ? WHERE digest_key IS NULL",
            new,
            key_id,
        )
        .execute(&self.writer)
        .await?;
        let key = sqlx::query_scalar!("SELECT digest_key FROM installation")
            .fetch_one(&self.writer)
            .await?;
        key.ok_or_else(|| StoreError::Corrupt("installation".to_owned()))
    }

    async fn reseal_digest_key(
        &self,
        old: &[u8],
        new: &[u8],
        key_id: &str,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query!(
            "UPDATE installation SET digest_key = ?, digest_key_id = ? WHERE digest_key = ?",
            new,
            key_id,
            old,
        )
        .execute(&self.writer)
        .await?;
        Ok(done.rows_affected() == 1)
    }
}
