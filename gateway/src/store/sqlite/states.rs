//! SQL of the sealed states of sandboxes.

use sqlx::SqliteExecutor;
use uuid::Uuid;

use super::row;
use crate::store::{StateRecord, StoreError};

pub(super) async fn not_under(
    executor: impl SqliteExecutor<'_>,
    key_id: &str,
    after: Uuid,
    limit: u32,
) -> Result<Vec<StateRecord>, StoreError> {
    let after = after.to_string();
    let rows = sqlx::query!(
        "SELECT sandbox_id, session_id, org_id, provider_state FROM sandboxes
         WHERE state_key_id <> '' AND state_key_id <> ? AND sandbox_id > ?
         ORDER BY sandbox_id LIMIT ?",
        key_id,
        after,
        limit,
    )
    .fetch_all(executor)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(StateRecord {
                sandbox_id: row::uuid(&row.sandbox_id)?,
                session_id: row::uuid(&row.session_id)?,
                org_id: row.org_id,
                sealed: row.provider_state,
            })
        })
        .collect()
}

pub(super) async fn reseal(
    executor: impl SqliteExecutor<'_>,
    state: &StateRecord,
    new: &[u8],
    key_id: &str,
) -> Result<bool, StoreError> {
    let id = state.sandbox_id.to_string();
    // The version stays: what is in the state has not changed.
    let done = sqlx::query!(
        "UPDATE sandboxes SET provider_state = ?, state_key_id = ?
         WHERE sandbox_id = ? AND provider_state = ?",
        new,
        key_id,
        id,
        state.sealed,
    )
    .execute(executor)
    .await?;
    Ok(done.rows_affected() == 1)
}
