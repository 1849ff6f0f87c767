//! SQL that makes a written file known: checked and done in one transaction.

use sqlx::{Sqlite, Transaction};

use super::{
    file_changes::{add_folders, folders},
    files::{FileRow, level},
    values::session_lives,
};
use crate::store::{FileRecord, FileWrite, How, StoreError, Written};

type Open<'a> = Transaction<'a, Sqlite>;

/// Where the new content goes.
struct Place {
    content_id: String,
    /// Of its first part.
    first: i64,
    /// Bytes of the file afterwards.
    size: i64,
    sha256: Vec<u8>,
}

/// A file or folder.
pub(super) async fn file(
    transaction: &mut Open<'_>,
    session_id: &str,
    path: &str,
) -> Result<Option<FileRecord>, StoreError> {
    sqlx::query_as!(
        FileRow,
        "SELECT session_id, path, is_folder, content_id, etag, size, content_type, sha256,
             create_time, modify_time
         FROM session_files WHERE session_id = ? AND path = ?",
        session_id,
        path,
    )
    .fetch_optional(&mut **transaction)
    .await?
    .map(FileRecord::try_from)
    .transpose()
}

/// Makes a write known. What is not done is not to be committed.
pub(super) async fn write(
    transaction: &mut Open<'_>,
    write: &FileWrite,
) -> Result<Written, StoreError> {
    let session_id = write.session_id.to_string();
    if !session_lives(transaction, &session_id).await? {
        return Ok(Written::NoSession);
    }
    let old = file(transaction, &session_id, &write.path).await?;
    if let Some(refused) = in_the_way(transaction, &session_id, write, old.as_ref()).await? {
        return Ok(refused);
    }
    if !parts_are_there(transaction, write).await? {
        return Ok(Written::PartsGone);
    }
    let Some(place) = place(transaction, write, old.as_ref()).await? else {
        return Ok(Written::TailChanged);
    };
    if let Some(refused) = over(transaction, &session_id, write, old.as_ref(), place.size).await? {
        return Ok(refused);
    }
    if old.is_none() {
        add_folders(transaction, &session_id, &write.org_id, &write.path).await?;
    }
    take_parts(transaction, write, old.as_ref(), &place).await?;
    let file = put(transaction, &session_id, write, old, place).await?;
    Ok(Written::Done(file))
}

/// What stands where the file is to be, if that is not as it should be.
async fn in_the_way(
    transaction: &mut Open<'_>,
    session_id: &str,
    write: &FileWrite,
    old: Option<&FileRecord>,
) -> Result<Option<Written>, StoreError> {
    if old.is_some_and(|old| old.is_folder) {
        return Ok(Some(Written::IsAFolder));
    }
    if old.is_some() && write.how == How::Create {
        return Ok(Some(Written::Exists));
    }
    if !write.if_match.is_empty() && old.is_none_or(|old| old.etag != write.if_match) {
        return Ok(Some(Written::EtagMismatch));
    }
    if old.is_some() {
        return Ok(None);
    }
    let folders = folders(&write.path);
    let file = sqlx::query_scalar!(
        "SELECT path FROM session_files
         WHERE session_id = ? AND is_folder = 0 AND path IN (SELECT value FROM json_each(?))",
        session_id,
        folders,
    )
    .fetch_optional(&mut **transaction)
    .await?;
    Ok(file.map(Written::NotAFolder))
}

async fn parts_are_there(
    transaction: &mut Open<'_>,
    write: &FileWrite,
) -> Result<bool, StoreError> {
    let content_id = write.content_id.to_string();
    let found = sqlx::query!(
        r#"SELECT COUNT(*) AS "parts!: i64", COALESCE(SUM(size), 0) AS "size!: i64"
         FROM file_parts WHERE content_id = ? AND due_time IS NOT NULL"#,
        content_id,
    )
    .fetch_one(&mut **transaction)
    .await?;
    Ok(found.parts == write.parts && found.size == write.size)
}

/// Where the new content goes; none where the part that it is to replace is not the last any more.
async fn place(
    transaction: &mut Open<'_>,
    write: &FileWrite,
    old: Option<&FileRecord>,
) -> Result<Option<Place>, StoreError> {
    let new = Place {
        content_id: write.content_id.to_string(),
        first: 0,
        size: write.size,
        sha256: write.sha256.clone(),
    };
    let How::Append { instead_of } = &write.how else {
        return Ok(Some(new));
    };
    let Some(old) = old else {
        return Ok(instead_of.is_none().then_some(new));
    };
    let content_id = old.content_id.to_string();
    let last = sqlx::query!(
        "SELECT object_key, place, size FROM file_parts
         WHERE content_id = ? AND due_time IS NULL ORDER BY place DESC LIMIT 1",
        content_id,
    )
    .fetch_optional(&mut **transaction)
    .await?;
    let replaced = last.as_ref().filter(|_| instead_of.is_some());
    if replaced.map(|last| &last.object_key) != instead_of.as_ref() {
        return Ok(None);
    }
    let whole = old.size == 0;
    Ok(Some(Place {
        first: match &last {
            Some(last) if instead_of.is_some() => last.place,
            last => last.as_ref().map_or(0, |last| last.place + 1),
        },
        size: old.size - replaced.map_or(0, |last| last.size) + write.size,
        sha256: match write.size {
            0 => old.sha256.clone(),
            _ if whole => write.sha256.clone(),
            _ => Vec::new(),
        },
        content_id,
    }))
}

/// Which limit the write would break.
async fn over(
    transaction: &mut Open<'_>,
    session_id: &str,
    write: &FileWrite,
    old: Option<&FileRecord>,
    size: i64,
) -> Result<Option<Written>, StoreError> {
    let unsigned = |size: i64| u64::try_from(size).unwrap_or_default();
    if unsigned(size) > write.most_file_bytes {
        return Ok(Some(Written::TooLarge));
    }
    if let Some(most) = write.most_bytes {
        let kept = bytes_of_org(transaction, &write.org_id).await?;
        let more = size - old.map_or(0, |old| old.size);
        // What makes it less is fine, also where it is still too much.
        if more > 0 && unsigned(kept + more) > most {
            return Ok(Some(Written::OverBytes));
        }
    }
    if old.is_none() {
        let files = sqlx::query_scalar!(
            "SELECT files FROM session_file_counts WHERE session_id = ?",
            session_id,
        )
        .fetch_optional(&mut **transaction)
        .await?;
        if unsigned(files.unwrap_or_default()) >= write.most_files {
            return Ok(Some(Written::OverFiles));
        }
    }
    Ok(None)
}

/// Bytes that an organisation keeps in its sessions: files, and secrets in use.
async fn bytes_of_org(transaction: &mut Open<'_>, org_id: &str) -> Result<i64, StoreError> {
    let bytes = sqlx::query_scalar!(
        r#"SELECT COALESCE((SELECT kept FROM org_file_bytes WHERE org_id = ?1), 0)
             + (SELECT COALESCE(SUM(size), 0) FROM sealed_values
                WHERE org_id = ?1 AND kind = 'secret' AND active = 1) AS "bytes!: i64""#,
        org_id,
    )
    .fetch_one(&mut **transaction)
    .await?;
    Ok(bytes)
}

/// Gives the parts to the file, and makes those due that it does not need any more.
async fn take_parts(
    transaction: &mut Open<'_>,
    write: &FileWrite,
    old: Option<&FileRecord>,
    place: &Place,
) -> Result<(), StoreError> {
    if let Some(old) = old {
        let content_id = old.content_id.to_string();
        let all = !matches!(write.how, How::Append { .. });
        let one = match &write.how {
            How::Append { instead_of } => instead_of.as_deref(),
            _ => None,
        };
        sqlx::query!(
            "UPDATE file_parts SET due_time = ?1
             WHERE content_id = ?2 AND due_time IS NULL AND (?3 OR object_key = ?4)",
            write.due_time,
            content_id,
            all,
            one,
        )
        .execute(&mut **transaction)
        .await?;
    }
    let content_id = write.content_id.to_string();
    sqlx::query!(
        "UPDATE file_parts SET due_time = NULL, content_id = ?1, place = place + ?2
         WHERE content_id = ?3 AND due_time IS NOT NULL",
        place.content_id,
        place.first,
        content_id,
    )
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

async fn put(
    transaction: &mut Open<'_>,
    session_id: &str,
    write: &FileWrite,
    old: Option<FileRecord>,
    place: Place,
) -> Result<FileRecord, StoreError> {
    let create_time = old.as_ref().map_or(write.now, |old| old.create_time);
    let level = level(&write.path);
    let kept = old.filter(|_| write.keeps_type && matches!(write.how, How::Append { .. }));
    let content_type = kept.map_or_else(|| write.content_type.clone(), |old| old.content_type);
    let row = sqlx::query_as!(
        FileRow,
        r#"INSERT INTO session_files (session_id, path, org_id, is_folder, level,
             content_id, etag, size, content_type, sha256, create_time, modify_time)
         VALUES (?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET content_id = excluded.content_id, etag = excluded.etag,
             size = excluded.size, content_type = excluded.content_type,
             sha256 = excluded.sha256, modify_time = excluded.modify_time
         RETURNING session_id, path, is_folder, content_id, etag, size, content_type, sha256,
             create_time, modify_time"#,
        session_id,
        write.path,
        write.org_id,
        level,
        place.content_id,
        write.etag,
        place.size,
        content_type,
        place.sha256,
        create_time,
        write.now,
    )
    .fetch_one(&mut **transaction)
    .await?;
    FileRecord::try_from(row)
}
