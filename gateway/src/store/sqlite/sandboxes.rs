//! SQL of sandboxes that are there.

use sqlx::{SqliteExecutor, SqlitePool};
use uuid::Uuid;

use super::{
    events,
    row::{self, SandboxRow},
};
use crate::store::{Changes, NewEvent, PageKey, SandboxFilter, SandboxRecord, StoreError};

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

/// `free`: its request_id may be used again, and so may its id.
pub(super) async fn change(
    pool: &SqlitePool,
    sandbox_id: Uuid,
    version: i64,
    changes: &Changes,
    free: bool,
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
             state_key_id = COALESCE(?, state_key_id), state_time = ?, due_time = ?, tries = ?,
             boots = ?, request_id = CASE WHEN ? THEN NULL ELSE request_id END,
             fingerprint = CASE WHEN ? THEN x'' ELSE fingerprint END, version = version + 1
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
        changes.state_time,
        changes.due_time,
        changes.tries,
        changes.boots,
        free,
        free,
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
