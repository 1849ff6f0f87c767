//! SQL of sessions.

use sqlx::{SqliteExecutor, SqlitePool};
use uuid::Uuid;

use super::{
    events,
    row::{self, SessionRow},
};
use crate::store::{
    InsertOutcome, NewEvent, SessionChanges, SessionFilter, SessionRecord, StoreError,
};

pub(super) async fn insert(
    pool: &SqlitePool,
    session: &SessionRecord,
) -> Result<InsertOutcome<SessionRecord>, StoreError> {
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    if let Some(there) = in_the_way(&mut *transaction, session).await? {
        return Ok(there);
    }
    let id = session.session_id.to_string();
    let request_id = session.request_id.map(|id| id.to_string());
    let labels = row::json(&session.labels);
    sqlx::query!(
        "INSERT INTO sessions (session_id, org_id, user_id, request_id, fingerprint, definition,
             agent_id, harness_id, labels, version, create_time, update_time, expire_time)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        id,
        session.org_id,
        session.user_id,
        request_id,
        session.fingerprint,
        session.definition,
        session.agent_id,
        session.harness_id,
        labels,
        session.version,
        session.create_time,
        session.update_time,
        session.expire_time,
    )
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(InsertOutcome::Inserted)
}

/// The row that has the id or the request_id already. A deleted one keeps both.
pub(super) async fn in_the_way(
    executor: impl SqliteExecutor<'_>,
    session: &SessionRecord,
) -> Result<Option<InsertOutcome<SessionRecord>>, StoreError> {
    let id = session.session_id.to_string();
    let request_id = session.request_id.map(|id| id.to_string());
    let found = sqlx::query_as!(
        SessionRow,
        "SELECT * FROM sessions
         WHERE session_id = ?1 OR (org_id = ?2 AND user_id = ?3 AND request_id = ?4)
         ORDER BY session_id = ?1",
        id,
        session.org_id,
        session.user_id,
        request_id,
    )
    .fetch_optional(executor)
    .await?;
    let Some(found) = found else { return Ok(None) };
    let record = SessionRecord::try_from(found)?;
    let same_request = session.request_id.is_some()
        && record.request_id == session.request_id
        && (&record.org_id, &record.user_id) == (&session.org_id, &session.user_id);
    Ok(Some(match same_request {
        true => InsertOutcome::SameRequest(record),
        false => InsertOutcome::SameId(record),
    }))
}

pub(super) async fn find(
    executor: impl SqliteExecutor<'_>,
    session_id: Uuid,
) -> Result<Option<SessionRecord>, StoreError> {
    let id = session_id.to_string();
    sqlx::query_as!(
        SessionRow,
        "SELECT * FROM sessions WHERE session_id = ? AND delete_time IS NULL",
        id,
    )
    .fetch_optional(executor)
    .await?
    .map(SessionRecord::try_from)
    .transpose()
}

pub(super) async fn change(
    pool: &SqlitePool,
    session_id: Uuid,
    version: i64,
    changes: &SessionChanges,
) -> Result<Option<SessionRecord>, StoreError> {
    let id = session_id.to_string();
    let labels = row::json(&changes.labels);
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    let done = sqlx::query!(
        "UPDATE sessions SET definition = ?, labels = ?, expire_time = ?, update_time = ?,
             version = version + 1
         WHERE session_id = ? AND version = ? AND delete_time IS NULL",
        changes.definition,
        labels,
        changes.expire_time,
        changes.update_time,
        id,
        version,
    )
    .execute(&mut *transaction)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(None);
    }
    let changed = find(&mut *transaction, session_id).await?;
    transaction.commit().await?;
    Ok(changed)
}

pub(super) async fn list(
    executor: impl SqliteExecutor<'_>,
    filter: &SessionFilter,
) -> Result<Vec<SessionRecord>, StoreError> {
    let labels = row::json(&filter.labels);
    let (after_time, after_id) = super::sandboxes::page_start(filter.after.as_ref());
    sqlx::query_as!(
        SessionRow,
        "SELECT * FROM sessions
         WHERE delete_time IS NULL AND (expire_time IS NULL OR expire_time > ?9)
           AND org_id = ?1 AND user_id = ?2
           AND (?3 = '' OR agent_id = ?3) AND (?4 = '' OR harness_id = ?4)
           AND (create_time, session_id) < (?5, ?6)
           AND NOT EXISTS (
               SELECT 1 FROM json_each(?7) AS want WHERE NOT EXISTS (
                   SELECT 1 FROM json_each(sessions.labels) AS have
                   WHERE have.key = want.key AND have.value = want.value))
         ORDER BY create_time DESC, session_id DESC LIMIT ?8",
        filter.owner.org_id,
        filter.owner.user_id,
        filter.agent_id,
        filter.harness_id,
        after_time,
        after_id,
        labels,
        filter.limit,
        filter.now,
    )
    .fetch_all(executor)
    .await?
    .into_iter()
    .map(SessionRecord::try_from)
    .collect()
}

pub(super) async fn delete(
    pool: &SqlitePool,
    session_id: Uuid,
    now: i64,
    cleanup_time: i64,
    event: Option<&NewEvent>,
) -> Result<bool, StoreError> {
    let id = session_id.to_string();
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    let done = sqlx::query!(
        "UPDATE sessions SET delete_time = ?, cleanup_time = ?, version = version + 1
         WHERE session_id = ? AND delete_time IS NULL",
        now,
        cleanup_time,
        id,
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
