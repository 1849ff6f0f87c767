//! SQL of session files: what is looked up, and the way of each change into its transaction.

use async_trait::async_trait;
use uuid::Uuid;

use super::{SqliteStore, file_changes as changes, file_parts as parts, file_writes, row};
use crate::store::{
    FilePage, FileRecord, FileStore, FileWrite, NewPart, PartRecord, Removed, Reserved, StoreError,
    Unsure, Written,
};

/// A row of `session_files`.
pub(super) struct FileRow {
    pub(super) session_id: String,
    pub(super) path: String,
    pub(super) is_folder: i64,
    pub(super) content_id: String,
    pub(super) etag: String,
    pub(super) size: i64,
    pub(super) content_type: String,
    pub(super) sha256: Vec<u8>,
    pub(super) create_time: i64,
    pub(super) modify_time: i64,
}

/// A row of `file_parts`.
pub(super) struct PartRow {
    pub(super) object_key: String,
    pub(super) session_id: String,
    pub(super) content_id: String,
    pub(super) place: i64,
    pub(super) size: i64,
}

/// What the paths below a folder begin with, and what comes behind the last of them: `0` follows `/`.
pub(super) fn below(folder: &str) -> (String, String) {
    let folder = folder.trim_end_matches('/');
    (format!("{folder}/"), format!("{folder}0"))
}

/// How many parts a path has; none: `/`.
pub(super) fn level(path: &str) -> i64 {
    let parts = path.split('/').filter(|part| !part.is_empty());
    i64::try_from(parts.count()).unwrap_or(i64::MAX)
}

#[async_trait]
impl FileStore for SqliteStore {
    async fn file(&self, session_id: Uuid, path: &str) -> Result<Option<FileRecord>, StoreError> {
        let id = session_id.to_string();
        sqlx::query_as!(
            FileRow,
            "SELECT session_id, path, is_folder, content_id, etag, size, content_type, sha256,
                 create_time, modify_time
             FROM session_files WHERE session_id = ? AND path = ?",
            id,
            path,
        )
        .fetch_optional(&self.readers)
        .await?
        .map(FileRecord::try_from)
        .transpose()
    }

    async fn file_with_parts(
        &self,
        session_id: Uuid,
        path: &str,
    ) -> Result<Option<(FileRecord, Vec<PartRecord>)>, StoreError> {
        let mut transaction = self.readers.begin().await?;
        let id = session_id.to_string();
        let Some(file) = file_writes::file(&mut transaction, &id, path).await? else {
            return Ok(None);
        };
        let content_id = file.content_id.to_string();
        let parts = sqlx::query_as!(
            PartRow,
            "SELECT object_key, session_id, content_id, place, size FROM file_parts
             WHERE content_id = ? AND due_time IS NULL ORDER BY place",
            content_id,
        )
        .fetch_all(&mut *transaction)
        .await?
        .into_iter()
        .map(PartRecord::try_from)
        .collect::<Result<_, _>>()?;
        Ok(Some((file, parts)))
    }

    async fn list_files(&self, page: &FilePage) -> Result<Vec<FileRecord>, StoreError> {
        let id = page.session_id.to_string();
        let (first, end) = below(&page.folder);
        let above = level(&page.folder);
        let deepest = above.saturating_add(page.depth);
        let after = first.clone().max(page.after.clone());
        // Of one level alone, most lists of large trees, the index leads from name to name.
        let only = (page.depth == 1).then_some(deepest);
        sqlx::query_as!(
            FileRow,
            "SELECT session_id, path, is_folder, content_id, etag, size, content_type, sha256,
                 create_time, modify_time
             FROM session_files
             WHERE session_id = ?1 AND level = ?2 AND path > ?3 AND path < ?4
             UNION ALL
             SELECT session_id, path, is_folder, content_id, etag, size, content_type, sha256,
                 create_time, modify_time
             FROM session_files
             WHERE session_id = ?1 AND ?2 IS NULL AND level <= ?5 AND path > ?3 AND path < ?4
             ORDER BY path LIMIT ?6",
            id,
            only,
            after,
            end,
            deepest,
            page.limit,
        )
        .fetch_all(&self.readers)
        .await?
        .into_iter()
        .map(FileRecord::try_from)
        .collect()
    }

    async fn reserve_part(&self, new: &NewPart) -> Result<Reserved, StoreError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        let reserved = parts::reserve(&mut transaction, new).await?;
        if reserved == Reserved::Done {
            transaction.commit().await?;
        }
        Ok(reserved)
    }

    async fn write_file(&self, write: &FileWrite) -> Result<Written, StoreError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        let written = file_writes::write(&mut transaction, write).await?;
        if matches!(written, Written::Done(_)) {
            transaction.commit().await?;
        }
        Ok(written)
    }

    async fn abandon_parts(
        &self,
        content_id: Uuid,
        due_time: i64,
        unsure: Option<&Unsure>,
    ) -> Result<(), StoreError> {
        parts::abandon(&self.writer, content_id, due_time, unsure).await
    }

    async fn remove_files(
        &self,
        session_id: Uuid,
        path: &str,
        recursive: bool,
        due_time: i64,
    ) -> Result<Removed, StoreError> {
        let id = session_id.to_string();
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        let removed = changes::remove(&mut transaction, &id, path, recursive, due_time).await?;
        transaction.commit().await?;
        Ok(removed)
    }

    async fn remove_files_of_session(
        &self,
        session_id: Uuid,
        due_time: i64,
    ) -> Result<(), StoreError> {
        let id = session_id.to_string();
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        changes::remove(&mut transaction, &id, "/", true, due_time).await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn due_parts(
        &self,
        now: i64,
        again: i64,
        limit: u32,
    ) -> Result<Vec<PartRecord>, StoreError> {
        parts::due(&self.writer, now, again, limit).await
    }

    async fn drop_parts(&self, object_keys: &[String]) -> Result<(), StoreError> {
        parts::drop_due(&self.writer, object_keys).await
    }

    async fn file_bytes_of_org(&self, org_id: &str) -> Result<i64, StoreError> {
        let bytes =
            sqlx::query_scalar!("SELECT kept FROM org_file_bytes WHERE org_id = ?", org_id,)
                .fetch_optional(&self.readers)
                .await?;
        Ok(bytes.unwrap_or_default())
    }
}

impl TryFrom<FileRow> for FileRecord {
    type Error = StoreError;

    fn try_from(row: FileRow) -> Result<Self, StoreError> {
        Ok(Self {
            session_id: row::uuid(&row.session_id)?,
            path: row.path,
            is_folder: row.is_folder != 0,
            content_id: match row.is_folder {
                0 => row::uuid(&row.content_id)?,
                _ => Uuid::nil(),
            },
            etag: row.etag,
            size: row.size,
            content_type: row.content_type,
            sha256: row.sha256,
            create_time: row.create_time,
            modify_time: row.modify_time,
        })
    }
}

impl TryFrom<PartRow> for PartRecord {
    type Error = StoreError;

    fn try_from(row: PartRow) -> Result<Self, StoreError> {
        Ok(Self {
            object_key: row.object_key,
            session_id: row::uuid(&row.session_id)?,
            content_id: row::uuid(&row.content_id)?,
            place: row.place,
            size: row.size,
        })
    }
}
