//! SQL of API keys.

use async_trait::async_trait;
use sqlx::{Sqlite, Transaction};

use super::{SqliteStore, row, sandboxes::page_start};
use crate::store::{InsertOutcome, KeyFilter, KeyRecord, KeyStore, StoreError};

/// A row of `api_keys`.
struct KeyRow {
    api_key_id: String,
    title: String,
    org_id: String,
    user_id: String,
    scopes: String,
    secret_digest: Vec<u8>,
    issuer: String,
    request_id: Option<String>,
    fingerprint: Vec<u8>,
    create_time: i64,
    expire_time: Option<i64>,
    revoke_time: Option<i64>,
    last_use_time: Option<i64>,
}

impl TryFrom<KeyRow> for KeyRecord {
    type Error = StoreError;

    fn try_from(row: KeyRow) -> Result<Self, StoreError> {
        Ok(Self {
            scopes: serde_json::from_str(&row.scopes)
                .map_err(|_| StoreError::Corrupt(row.api_key_id.clone()))?,
            api_key_id: row.api_key_id,
            title: row.title,
            org_id: row.org_id,
            user_id: row.user_id,
            secret_digest: row.secret_digest,
            issuer: row.issuer,
            request_id: row.request_id.as_deref().map(row::uuid).transpose()?,
            fingerprint: row.fingerprint,
            create_time: row.create_time,
            expire_time: row.expire_time,
            revoke_time: row.revoke_time,
            last_use_time: row.last_use_time,
        })
    }
}

/// The key that the issuer's earlier call with the same request_id made.
async fn in_the_way(
    transaction: &mut Transaction<'_, Sqlite>,
    key: &KeyRecord,
) -> Result<Option<KeyRecord>, StoreError> {
    let request_id = key.request_id.map(|id| id.to_string());
    sqlx::query_as!(
        KeyRow,
        "SELECT api_key_id, title, org_id, user_id, scopes, secret_digest, issuer, request_id,
             fingerprint, create_time, expire_time, revoke_time, last_use_time
         FROM api_keys WHERE issuer = ? AND request_id = ?",
        key.issuer,
        request_id,
    )
    .fetch_optional(&mut **transaction)
    .await?
    .map(KeyRecord::try_from)
    .transpose()
}

#[async_trait]
impl KeyStore for SqliteStore {
    async fn insert_key(&self, key: &KeyRecord) -> Result<InsertOutcome<KeyRecord>, StoreError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        if let Some(there) = in_the_way(&mut transaction, key).await? {
            return Ok(InsertOutcome::SameRequest(there));
        }
        let request_id = key.request_id.map(|id| id.to_string());
        let scopes = serde_json::Value::from(key.scopes.clone()).to_string();
        sqlx::query!(
            "INSERT INTO api_keys (api_key_id, title, org_id, user_id, scopes, secret_digest,
                 issuer, request_id, fingerprint, create_time, expire_time, revoke_time,
                 last_use_time)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            key.api_key_id,
            key.title,
            key.org_id,
            key.user_id,
            scopes,
            key.secret_digest,
            key.issuer,
            request_id,
            key.fingerprint,
            key.create_time,
            key.expire_time,
            key.revoke_time,
            key.last_use_time,
        )
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(InsertOutcome::Inserted)
    }

    async fn key(&self, api_key_id: &str) -> Result<Option<KeyRecord>, StoreError> {
        sqlx::query_as!(
            KeyRow,
            "SELECT api_key_id, title, org_id, user_id, scopes, secret_digest, issuer, request_id,
                 fingerprint, create_time, expire_time, revoke_time, last_use_time
             FROM api_keys WHERE api_key_id = ?",
            api_key_id,
        )
        .fetch_optional(&self.readers)
        .await?
        .map(KeyRecord::try_from)
        .transpose()
    }

    async fn revoke_key(
        &self,
        api_key_id: &str,
        now: i64,
    ) -> Result<Option<KeyRecord>, StoreError> {
        sqlx::query!(
            "UPDATE api_keys SET revoke_time = ? WHERE api_key_id = ? AND revoke_time IS NULL",
            now,
            api_key_id,
        )
        .execute(&self.writer)
        .await?;
        self.key(api_key_id).await
    }

    async fn list_keys(&self, filter: &KeyFilter) -> Result<Vec<KeyRecord>, StoreError> {
        let (after_time, after_id) = page_start(filter.after.as_ref());
        sqlx::query_as!(
            KeyRow,
            "SELECT api_key_id, title, org_id, user_id, scopes, secret_digest, issuer, request_id,
                 fingerprint, create_time, expire_time, revoke_time, last_use_time
             FROM api_keys
             WHERE (?1 = '' OR org_id = ?1) AND (?2 = '' OR user_id = ?2)
               AND (?3 OR (revoke_time IS NULL AND (expire_time IS NULL OR expire_time > ?4)))
               AND (create_time, api_key_id) < (?5, ?6)
             ORDER BY create_time DESC, api_key_id DESC LIMIT ?7",
            filter.org_id,
            filter.user_id,
            filter.include_inactive,
            filter.now,
            after_time,
            after_id,
            filter.limit,
        )
        .fetch_all(&self.readers)
        .await?
        .into_iter()
        .map(KeyRecord::try_from)
        .collect()
    }

    async fn revoked_since(&self, time: i64) -> Result<Vec<String>, StoreError> {
        Ok(sqlx::query_scalar!(
            "SELECT api_key_id FROM api_keys WHERE revoke_time >= ?",
            time,
        )
        .fetch_all(&self.readers)
        .await?)
    }

    async fn touch_keys(&self, uses: &[(String, i64)]) -> Result<(), StoreError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        for (api_key_id, time) in uses {
            sqlx::query!(
                "UPDATE api_keys SET last_use_time = max(coalesce(last_use_time, 0), ?)
                 WHERE api_key_id = ?",
                time,
                api_key_id,
            )
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(())
    }
}
