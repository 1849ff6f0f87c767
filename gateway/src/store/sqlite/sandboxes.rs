//! SQL of sandboxes.

use sqlx::{Sqlite, SqliteExecutor, SqlitePool, Transaction};
use uuid::Uuid;

use super::{
    events,
    row::{self, SandboxRow},
    sessions,
};
use crate::store::{
    Changes, InsertOutcome, NewEvent, PageKey, SandboxFilter, SandboxInsert, SandboxRecord,
    StoreError,
};

pub(super) async fn insert(
    pool: &SqlitePool,
    sandbox: &SandboxRecord,
    most: Option<u32>,
    event: Option<&NewEvent>,
) -> Result<SandboxInsert, StoreError> {
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    if let Some(there) = in_the_way(&mut transaction, sandbox).await? {
        return Ok(SandboxInsert::Done(there));
    }
    if let Some(refused) = refused(&mut transaction, sandbox, most).await? {
        return Ok(refused);
    }
    add(&mut transaction, sandbox).await?;
    events::append(&mut transaction, event).await?;
    transaction.commit().await?;
    Ok(SandboxInsert::Done(InsertOutcome::Inserted))
}

async fn add(
    transaction: &mut Transaction<'_, Sqlite>,
    sandbox: &SandboxRecord,
) -> Result<(), StoreError> {
    let id = sandbox.sandbox_id.to_string();
    let session_id = sandbox.session_id.to_string();
    let request_id = sandbox.request_id.map(|id| id.to_string());
    let labels = row::json(&sandbox.labels);
    let credential_id = sandbox.credential_id.map(|id| id.to_string());
    sqlx::query!(
        "INSERT INTO sandboxes (sandbox_id, session_id, alias, request_id, fingerprint, provider,
             spec, labels, state, reason_code, reason_message, generation, version,
             provider_sandbox_id, instance_id, provider_state, workspace_path, home_path,
             create_time, start_time, delete_time, org_id, credential_id, state_key_id)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        id,
        session_id,
        sandbox.alias,
        request_id,
        sandbox.fingerprint,
        sandbox.provider,
        sandbox.spec,
        labels,
        sandbox.state,
        sandbox.reason_code,
        sandbox.reason_message,
        sandbox.generation,
        sandbox.version,
        sandbox.provider_sandbox_id,
        sandbox.instance_id,
        sandbox.provider_state,
        sandbox.workspace_path,
        sandbox.home_path,
        sandbox.create_time,
        sandbox.start_time,
        sandbox.delete_time,
        sandbox.org_id,
        credential_id,
        sandbox.state_key_id,
    )
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// Why the organisation may not have another sandbox now.
async fn refused(
    transaction: &mut Transaction<'_, Sqlite>,
    sandbox: &SandboxRecord,
    most: Option<u32>,
) -> Result<Option<SandboxInsert>, StoreError> {
    if let Some(most) = most {
        let living = sqlx::query_scalar!(
            "SELECT count(*) FROM sandboxes WHERE org_id = ? AND delete_time IS NULL",
            sandbox.org_id,
        )
        .fetch_one(&mut **transaction)
        .await?;
        if living >= i64::from(most) {
            return Ok(Some(SandboxInsert::OverQuota));
        }
    }
    if let Some(credential_id) = sandbox.credential_id {
        let id = credential_id.to_string();
        let kept = sqlx::query_scalar!("SELECT count(*) FROM sealed_values WHERE value_id = ?", id)
            .fetch_one(&mut **transaction)
            .await?;
        if kept == 0 {
            return Ok(Some(SandboxInsert::KeyGone));
        }
    }
    Ok(None)
}

/// The row that has the id, the request_id or the alias already.
async fn in_the_way(
    transaction: &mut Transaction<'_, Sqlite>,
    sandbox: &SandboxRecord,
) -> Result<Option<InsertOutcome<SandboxRecord>>, StoreError> {
    if let Some(request_id) = sandbox.request_id {
        let (session_id, request_id) = (sandbox.session_id.to_string(), request_id.to_string());
        let found = sqlx::query_as!(
            SandboxRow,
            "SELECT * FROM sandboxes WHERE session_id = ? AND request_id = ?",
            session_id,
            request_id,
        )
        .fetch_optional(&mut **transaction)
        .await?;
        if let Some(found) = found {
            return Ok(Some(InsertOutcome::SameRequest(found.try_into()?)));
        }
    }
    if let Some(found) = find(&mut **transaction, sandbox.sandbox_id).await? {
        return Ok(Some(InsertOutcome::SameId(found)));
    }
    if let Some(alias) = &sandbox.alias
        && let Some(found) = find_by_alias(&mut **transaction, sandbox.session_id, alias).await?
    {
        return Ok(Some(InsertOutcome::SameAlias(found)));
    }
    // Seen by the transaction that inserts, so that no sandbox outlives its session unseen.
    let session = sessions::find(&mut **transaction, sandbox.session_id).await?;
    Ok(session.is_none().then_some(InsertOutcome::NoSession))
}

pub(super) async fn find(
    executor: impl SqliteExecutor<'_>,
    sandbox_id: Uuid,
) -> Result<Option<SandboxRecord>, StoreError> {
    let id = sandbox_id.to_string();
    sqlx::query_as!(
        SandboxRow,
        "SELECT * FROM sandboxes WHERE sandbox_id = ?",
        id
    )
    .fetch_optional(executor)
    .await?
    .map(SandboxRecord::try_from)
    .transpose()
}

pub(super) async fn find_by_alias(
    executor: impl SqliteExecutor<'_>,
    session_id: Uuid,
    alias: &str,
) -> Result<Option<SandboxRecord>, StoreError> {
    let session_id = session_id.to_string();
    sqlx::query_as!(
        SandboxRow,
        "SELECT * FROM sandboxes WHERE session_id = ? AND alias = ? AND delete_time IS NULL",
        session_id,
        alias,
    )
    .fetch_optional(executor)
    .await?
    .map(SandboxRecord::try_from)
    .transpose()
}

pub(super) async fn list(
    executor: impl SqliteExecutor<'_>,
    filter: &SandboxFilter,
) -> Result<Vec<SandboxRecord>, StoreError> {
    let session_id = filter
        .session_id
        .map(|id| id.to_string())
        .unwrap_or_default();
    let states = serde_json::Value::from(filter.states.clone()).to_string();
    let labels = row::json(&filter.labels);
    let (after_time, after_id) = page_start(filter.after.as_ref());
    sqlx::query_as!(
        SandboxRow,
        "SELECT sandboxes.* FROM sandboxes JOIN sessions USING (session_id)
         WHERE sessions.org_id = ?1 AND sessions.user_id = ?2
           AND (?3 = '' OR sandboxes.session_id = ?3)
           AND (?4 = '' OR sandboxes.provider = ?4)
           AND CASE WHEN ?5 = '[]' THEN sandboxes.delete_time IS NULL
                    ELSE sandboxes.state IN (SELECT value FROM json_each(?5)) END
           AND (sandboxes.create_time, sandboxes.sandbox_id) < (?6, ?7)
           AND NOT EXISTS (
               SELECT 1 FROM json_each(?8) AS want WHERE NOT EXISTS (
                   SELECT 1 FROM json_each(sandboxes.labels) AS have
                   WHERE have.key = want.key AND have.value = want.value))
         ORDER BY sandboxes.create_time DESC, sandboxes.sandbox_id DESC LIMIT ?9",
        filter.owner.org_id,
        filter.owner.user_id,
        session_id,
        filter.provider,
        states,
        after_time,
        after_id,
        labels,
        filter.limit,
    )
    .fetch_all(executor)
    .await?
    .into_iter()
    .map(SandboxRecord::try_from)
    .collect()
}

/// The first page starts before every possible row.
pub(super) fn page_start(after: Option<&PageKey>) -> (i64, String) {
    after.map_or_else(
        || (i64::MAX, String::new()),
        |key| (key.time, key.id.clone()),
    )
}

pub(super) async fn change(
    pool: &SqlitePool,
    sandbox_id: Uuid,
    version: i64,
    changes: &Changes,
    event: Option<&NewEvent>,
) -> Result<Option<SandboxRecord>, StoreError> {
    let id = sandbox_id.to_string();
    let credential_id = changes.credential_id.map(|id| id.to_string());
    let state = changes.provider_state.as_ref();
    let provider_state = state.map(|state| state.bytes.as_slice());
    let state_key_id = state.map(|state| state.key_id.as_str());
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    let done = sqlx::query!(
        "UPDATE sandboxes SET spec = ?, state = ?, reason_code = ?, reason_message = ?,
             provider_sandbox_id = ?, instance_id = ?, workspace_path = ?, home_path = ?,
             start_time = ?, delete_time = ?, credential_id = ?,
             provider_state = COALESCE(?, provider_state),
             state_key_id = COALESCE(?, state_key_id), version = version + 1
         WHERE sandbox_id = ? AND version = ?",
        changes.spec,
        changes.state,
        changes.reason_code,
        changes.reason_message,
        changes.provider_sandbox_id,
        changes.instance_id,
        changes.workspace_path,
        changes.home_path,
        changes.start_time,
        changes.delete_time,
        credential_id,
        provider_state,
        state_key_id,
        id,
        version,
    )
    .execute(&mut *transaction)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(None);
    }
    let changed = find(&mut *transaction, sandbox_id).await?;
    events::append(&mut transaction, event).await?;
    transaction.commit().await?;
    Ok(changed)
}

pub(super) async fn forget(
    pool: &SqlitePool,
    sandbox_id: Uuid,
    version: i64,
    event: Option<&NewEvent>,
) -> Result<bool, StoreError> {
    let id = sandbox_id.to_string();
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    let done = sqlx::query!(
        "DELETE FROM sandboxes WHERE sandbox_id = ? AND version = ?",
        id,
        version
    )
    .execute(&mut *transaction)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    events::append(&mut transaction, event).await?;
    transaction.commit().await?;
    Ok(true)
}
