//! SQL of the objects that content is in: noted before they are put, forgotten when they are gone.

use sqlx::{Sqlite, SqlitePool, Transaction};
use uuid::Uuid;

use super::{files::PartRow, values::session_lives};
use crate::store::{NewPart, PartRecord, Reserved, StoreError, Unsure};

type Open<'a> = Transaction<'a, Sqlite>;

/// Notes a part that is about to be put. What is refused is not to be committed.
pub(super) async fn reserve(
    transaction: &mut Open<'_>,
    new: &NewPart,
) -> Result<Reserved, StoreError> {
    let part = &new.part;
    let (session_id, content_id) = (part.session_id.to_string(), part.content_id.to_string());
    if !session_lives(transaction, &session_id).await? {
        return Ok(Reserved::NoSession);
    }
    if is_full(transaction, new).await? {
        let next = next_due(transaction, &new.org_id).await?;
        return Ok(Reserved::Full(next));
    }
    sqlx::query!(
        "INSERT INTO file_parts
             (object_key, session_id, org_id, content_id, place, size, due_time)
         VALUES (?, ?, ?, ?, ?, ?, ?)",
        part.object_key,
        session_id,
        new.org_id,
        content_id,
        part.place,
        part.size,
        new.due_time,
    )
    .execute(&mut **transaction)
    .await?;
    sqlx::query!(
        "UPDATE file_parts SET due_time = ? WHERE content_id = ? AND due_time IS NOT NULL",
        new.due_time,
        content_id,
    )
    .execute(&mut **transaction)
    .await?;
    Ok(Reserved::Done)
}

/// Whether the objects of an organisation would take more than twice what it may keep. One that has
/// more than it may, since the limit was lowered, can still replace all of it by less.
async fn is_full(transaction: &mut Open<'_>, new: &NewPart) -> Result<bool, StoreError> {
    let Some(most) = new.most_bytes else {
        return Ok(false);
    };
    let bytes = sqlx::query!(
        "SELECT kept, stored FROM org_file_bytes WHERE org_id = ?",
        new.org_id,
    )
    .fetch_optional(&mut **transaction)
    .await?;
    let (kept, stored) = bytes.map_or((0, 0), |bytes| (bytes.kept, bytes.stored));
    let most = i64::try_from(most).unwrap_or(i64::MAX).max(kept);
    Ok(stored.saturating_add(new.part.size) > most.saturating_mul(2))
}

/// When the next object of an organisation is due that no file has.
async fn next_due(transaction: &mut Open<'_>, org_id: &str) -> Result<Option<i64>, StoreError> {
    let next = sqlx::query_scalar!(
        r#"SELECT MIN(due_time) AS "next: i64" FROM file_parts
         WHERE org_id = ? AND due_time IS NOT NULL"#,
        org_id,
    )
    .fetch_one(&mut **transaction)
    .await?;
    Ok(next)
}

/// Makes due what was put of content that will not be made known.
pub(super) async fn abandon(
    writer: &SqlitePool,
    content_id: Uuid,
    due_time: i64,
    unsure: Option<&Unsure>,
) -> Result<(), StoreError> {
    let content_id = content_id.to_string();
    let (key, later) = match unsure {
        Some(unsure) => (unsure.object_key.as_str(), unsure.due_time),
        None => ("", due_time),
    };
    sqlx::query!(
        "UPDATE file_parts SET due_time = CASE object_key WHEN ?1 THEN ?2 ELSE ?3 END
         WHERE content_id = ?4 AND due_time IS NOT NULL",
        key,
        later,
        due_time,
        content_id,
    )
    .execute(writer)
    .await?;
    Ok(())
}

/// Parts that are due, which no write can have any more then.
pub(super) async fn due(
    writer: &SqlitePool,
    now: i64,
    again: i64,
    limit: u32,
) -> Result<Vec<PartRecord>, StoreError> {
    let nobodys = Uuid::nil().to_string();
    sqlx::query_as!(
        PartRow,
        r#"UPDATE file_parts SET content_id = ?1, due_time = ?4 WHERE object_key IN (
             SELECT object_key FROM file_parts WHERE due_time <= ?2
             ORDER BY due_time LIMIT ?3)
         RETURNING object_key AS "object_key!", session_id AS "session_id!",
             content_id AS "content_id!", place AS "place!", size AS "size!""#,
        nobodys,
        now,
        limit,
        again,
    )
    .fetch_all(writer)
    .await?
    .into_iter()
    .map(PartRecord::try_from)
    .collect()
}

/// Forgets parts whose objects are gone.
pub(super) async fn drop_due(
    writer: &SqlitePool,
    object_keys: &[String],
) -> Result<(), StoreError> {
    let keys = serde_json::Value::from(object_keys).to_string();
    sqlx::query!(
        "DELETE FROM file_parts
         WHERE object_key IN (SELECT value FROM json_each(?)) AND due_time IS NOT NULL",
        keys,
    )
    .execute(writer)
    .await?;
    Ok(())
}
