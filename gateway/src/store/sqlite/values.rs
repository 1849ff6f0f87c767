//! SQL of sealed values.

use async_trait::async_trait;
use sqlx::{Sqlite, Transaction};
use uuid::Uuid;

use super::{SqliteStore, row::ValueRow};
use crate::store::{StoreError, ValueKind, ValueRecord, ValueStore};

/// The kind of a session's secrets, and the name that means all of them: no value's own is empty.
const SECRET: &str = ValueKind::Secret.name();
const ALL: &str = "";

#[async_trait]
impl ValueStore for SqliteStore {
    async fn set_value(&self, value: &ValueRecord) -> Result<bool, StoreError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        if value.kind == ValueKind::Secret && !session_lives(&mut transaction, &value.owner).await?
        {
            return Ok(false);
        }
        let (kind, org_id, owner) = (value.kind.name(), &value.org_id, &value.owner);
        retire(&mut transaction, kind, org_id, owner, &value.name).await?;
        insert(&mut transaction, value).await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn delete_value(
        &self,
        kind: ValueKind,
        org_id: &str,
        owner: &str,
        name: &str,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        let there = retire(&mut transaction, kind.name(), org_id, owner, name).await?;
        transaction.commit().await?;
        Ok(there)
    }

    async fn value(
        &self,
        kind: ValueKind,
        org_id: &str,
        owner: &str,
        name: &str,
    ) -> Result<Option<ValueRecord>, StoreError> {
        let kind = kind.name();
        sqlx::query_as!(
            ValueRow,
            "SELECT * FROM sealed_values
             WHERE kind = ? AND org_id = ? AND owner = ? AND name = ? AND active = 1",
            kind,
            org_id,
            owner,
            name,
        )
        .fetch_optional(&self.readers)
        .await?
        .map(ValueRecord::try_from)
        .transpose()
    }

    async fn value_version(&self, value_id: Uuid) -> Result<Option<ValueRecord>, StoreError> {
        let id = value_id.to_string();
        sqlx::query_as!(
            ValueRow,
            "SELECT * FROM sealed_values WHERE value_id = ?",
            id
        )
        .fetch_optional(&self.readers)
        .await?
        .map(ValueRecord::try_from)
        .transpose()
    }

    async fn list_values(
        &self,
        kind: ValueKind,
        org_id: &str,
        owner: &str,
        after: &str,
        limit: u32,
    ) -> Result<Vec<ValueRecord>, StoreError> {
        let kind = kind.name();
        sqlx::query_as!(
            ValueRow,
            "SELECT * FROM sealed_values
             WHERE kind = ? AND org_id = ? AND owner = ? AND name > ? AND active = 1
             ORDER BY name LIMIT ?",
            kind,
            org_id,
            owner,
            after,
            limit,
        )
        .fetch_all(&self.readers)
        .await?
        .into_iter()
        .map(ValueRecord::try_from)
        .collect()
    }

    async fn versions_named(
        &self,
        kind: ValueKind,
        name: &str,
        after: Uuid,
        limit: u32,
    ) -> Result<Vec<ValueRecord>, StoreError> {
        let (kind, after) = (kind.name(), after.to_string());
        sqlx::query_as!(
            ValueRow,
            "SELECT * FROM sealed_values WHERE kind = ? AND name = ? AND value_id > ?
             ORDER BY value_id LIMIT ?",
            kind,
            name,
            after,
            limit,
        )
        .fetch_all(&self.readers)
        .await?
        .into_iter()
        .map(ValueRecord::try_from)
        .collect()
    }

    async fn delete_values_of_session(&self, session_id: Uuid) -> Result<(), StoreError> {
        let owner = session_id.to_string();
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        let org_id = sqlx::query_scalar!("SELECT org_id FROM sessions WHERE session_id = ?", owner)
            .fetch_optional(&mut *transaction)
            .await?;
        if let Some(org_id) = org_id {
            retire(&mut transaction, SECRET, &org_id, &owner, ALL).await?;
            transaction.commit().await?;
        }
        Ok(())
    }

    async fn drop_unused_values(&self, value_id: Option<Uuid>) -> Result<u64, StoreError> {
        let id = value_id.map(|id| id.to_string()).unwrap_or_default();
        let done = sqlx::query!(
            "DELETE FROM sealed_values
             WHERE active = 0 AND (?1 = '' OR value_id = ?1) AND NOT EXISTS (
                 SELECT 1 FROM sandboxes
                 WHERE credential_id = value_id AND delete_time IS NULL)",
            id,
        )
        .execute(&self.writer)
        .await?;
        Ok(done.rows_affected())
    }

    async fn bytes_of_org(&self, org_id: &str) -> Result<i64, StoreError> {
        let bytes = sqlx::query_scalar!(
            r#"SELECT COALESCE(SUM(size), 0) AS "bytes!: i64" FROM sealed_values
               WHERE org_id = ? AND kind = 'secret' AND active = 1"#,
            org_id,
        )
        .fetch_one(&self.readers)
        .await?;
        Ok(bytes)
    }

    async fn values_not_under(
        &self,
        key_id: &str,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<ValueRecord>, StoreError> {
        let after = after.map(|id| id.to_string()).unwrap_or_default();
        sqlx::query_as!(
            ValueRow,
            "SELECT * FROM sealed_values WHERE key_id <> ? AND value_id > ?
             ORDER BY value_id LIMIT ?",
            key_id,
            after,
            limit,
        )
        .fetch_all(&self.readers)
        .await?
        .into_iter()
        .map(ValueRecord::try_from)
        .collect()
    }

    async fn replace_sealed(
        &self,
        value_id: Uuid,
        old: &[u8],
        new: &[u8],
        key_id: &str,
    ) -> Result<bool, StoreError> {
        let id = value_id.to_string();
        let done = sqlx::query!(
            "UPDATE sealed_values SET sealed = ?, key_id = ? WHERE value_id = ? AND sealed = ?",
            new,
            key_id,
            id,
            old,
        )
        .execute(&self.writer)
        .await?;
        Ok(done.rows_affected() == 1)
    }
}

/// Whether a session is not deleted.
pub(super) async fn session_lives(
    transaction: &mut Transaction<'_, Sqlite>,
    session_id: &str,
) -> Result<bool, StoreError> {
    let found = sqlx::query_scalar!(
        "SELECT 1 AS found FROM sessions WHERE session_id = ? AND delete_time IS NULL",
        session_id,
    )
    .fetch_optional(&mut **transaction)
    .await?;
    Ok(found.is_some())
}

/// Takes what is in use out of use, and drops what no living sandbox was made with; whether there
/// was anything.
async fn retire(
    transaction: &mut Transaction<'_, Sqlite>,
    kind: &str,
    org_id: &str,
    owner: &str,
    name: &str,
) -> Result<bool, StoreError> {
    let dropped = sqlx::query!(
        "DELETE FROM sealed_values
         WHERE kind = ?1 AND org_id = ?2 AND owner = ?3 AND (?4 = '' OR name = ?4)
           AND active = 1 AND NOT EXISTS (
               SELECT 1 FROM sandboxes
               WHERE credential_id = value_id AND delete_time IS NULL)",
        kind,
        org_id,
        owner,
        name,
    )
    .execute(&mut **transaction)
    .await?;
    let kept = sqlx::query!(
        "UPDATE sealed_values SET active = 0
         WHERE kind = ?1 AND org_id = ?2 AND owner = ?3 AND (?4 = '' OR name = ?4)
           AND active = 1",
        kind,
        org_id,
        owner,
        name,
    )
    .execute(&mut **transaction)
    .await?;
    Ok(dropped.rows_affected() + kept.rows_affected() > 0)
}

async fn insert(
    transaction: &mut Transaction<'_, Sqlite>,
    value: &ValueRecord,
) -> Result<(), StoreError> {
    let (id, kind) = (value.value_id.to_string(), value.kind.name());
    sqlx::query!(
        "INSERT INTO sealed_values (value_id, org_id, owner, kind, name, active, sealed, key_id,
             size, hint, update_time, validate_time)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        id,
        value.org_id,
        value.owner,
        kind,
        value.name,
        value.active,
        value.sealed,
        value.key_id,
        value.size,
        value.hint,
        value.update_time,
        value.validate_time,
    )
    .execute(&mut **transaction)
    .await?;
    Ok(())
}
