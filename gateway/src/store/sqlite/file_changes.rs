//! SQL that takes session files away, and of the folders and parts around them.

use sqlx::{Sqlite, Transaction};

use super::{
    file_writes,
    files::{below, level},
};
use crate::store::{Removed, StoreError};

type Open<'a> = Transaction<'a, Sqlite>;

/// The folders above a path, without `/`, as a JSON list.
pub(super) fn folders(path: &str) -> String {
    let ends = path.match_indices('/').map(|(at, _)| at);
    let folders = ends.filter(|at| *at > 0).map(|at| &path[..at]);
    serde_json::Value::from_iter(folders).to_string()
}

/// Adds the folders above a path that are not there.
pub(super) async fn add_folders(
    transaction: &mut Open<'_>,
    session_id: &str,
    org_id: &str,
    path: &str,
) -> Result<(), StoreError> {
    for (at, _) in path.match_indices('/').filter(|(at, _)| *at > 0) {
        let (folder, level) = (&path[..at], level(&path[..at]));
        sqlx::query!(
            "INSERT OR IGNORE INTO session_files (session_id, path, org_id, is_folder, level,
                 content_id, etag, size, content_type, sha256, create_time, modify_time)
             VALUES (?, ?, ?, 1, ?, '', '', 0, '', x'', 0, 0)",
            session_id,
            folder,
            org_id,
            level,
        )
        .execute(&mut **transaction)
        .await?;
    }
    Ok(())
}

/// Deletes a file, or a folder with all below it.
pub(super) async fn remove(
    transaction: &mut Open<'_>,
    session_id: &str,
    path: &str,
    recursive: bool,
    due_time: i64,
) -> Result<Removed, StoreError> {
    let found = file_writes::file(transaction, session_id, path).await?;
    let is_folder = path == "/" || found.as_ref().is_some_and(|found| found.is_folder);
    if found.is_none() && !is_folder {
        return Ok(Removed::Missing);
    }
    if is_folder && !recursive {
        return Ok(Removed::IsAFolder);
    }
    // In their order, what lies below a folder is one stretch, and so is one file. An index leads to
    // it, however many others the session has.
    let (from, to) = match is_folder {
        true => below(path),
        false => (path.to_owned(), format!("{path}\0")),
    };
    sqlx::query!(
        "UPDATE file_parts SET due_time = ?1 WHERE due_time IS NULL AND content_id IN (
             SELECT content_id FROM session_files
             WHERE session_id = ?2 AND is_folder = 0 AND path >= ?3 AND path < ?4)",
        due_time,
        session_id,
        from,
        to,
    )
    .execute(&mut **transaction)
    .await?;
    let files = sqlx::query_scalar!(
        r#"SELECT COUNT(*) AS "files!: i64" FROM session_files
         WHERE session_id = ?1 AND is_folder = 0 AND path >= ?2 AND path < ?3"#,
        session_id,
        from,
        to,
    )
    .fetch_one(&mut **transaction)
    .await?;
    sqlx::query!(
        "DELETE FROM session_files WHERE session_id = ?1 AND path >= ?2 AND path < ?3",
        session_id,
        from,
        to,
    )
    .execute(&mut **transaction)
    .await?;
    // Of a folder, this is itself too: nothing lies below it any more.
    drop_empty_folders(transaction, session_id, &from).await?;
    Ok(Removed::Done(u64::try_from(files).unwrap_or_default()))
}

/// Removes the folders above a path that nothing lies below any more.
async fn drop_empty_folders(
    transaction: &mut Open<'_>,
    session_id: &str,
    path: &str,
) -> Result<(), StoreError> {
    let folders = folders(path);
    sqlx::query!(
        "DELETE FROM session_files
         WHERE session_id = ?1 AND is_folder = 1 AND path IN (SELECT value FROM json_each(?2))
           AND NOT EXISTS (
               SELECT 1 FROM session_files AS other
               WHERE other.session_id = ?1 AND other.is_folder = 0
                 AND other.path > session_files.path || '/'
                 AND other.path < session_files.path || '0')",
        session_id,
        folders,
    )
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folders_above_a_path_are_listed_without_the_root() {
        assert_eq!(folders("/a"), "[]");
        assert_eq!(folders("/a/b c/\"d"), r#"["/a","/a/b c"]"#);
        assert_eq!(folders("/"), "[]");
    }
}
