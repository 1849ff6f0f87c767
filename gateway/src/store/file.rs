//! Files of sessions, as the store keeps them: names and facts here, content in objects elsewhere.
//!
//! Each object has its row before it is put, with the time to remove it if nothing comes of it, and
//! loses that row after it is removed: so none is ever lost sight of.

use async_trait::async_trait;
use uuid::Uuid;

use super::StoreError;

/// A file, or a folder that only holds others. Times are milliseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileRecord {
    pub(crate) session_id: Uuid,
    /// From the root, with a leading slash.
    pub(crate) path: String,
    pub(crate) is_folder: bool,
    /// Names the content; nil for folders.
    pub(crate) content_id: Uuid,
    /// Changes with every write; empty for folders.
    pub(crate) etag: String,
    /// Bytes.
    pub(crate) size: i64,
    pub(crate) content_type: String,
    /// Empty where it is not known.
    pub(crate) sha256: Vec<u8>,
    pub(crate) create_time: i64,
    pub(crate) modify_time: i64,
}

/// One object that content is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PartRecord {
    pub(crate) object_key: String,
    pub(crate) session_id: Uuid,
    pub(crate) content_id: Uuid,
    /// Its place in the content, counted from 0.
    pub(crate) place: i64,
    /// Bytes.
    pub(crate) size: i64,
}

/// A part that is about to be put.
#[derive(Clone, Debug)]
pub(crate) struct NewPart {
    pub(crate) part: PartRecord,
    pub(crate) org_id: String,
    /// When to remove it, and those before it, unless their content is made known.
    pub(crate) due_time: i64,
    /// Bytes that the organisation may keep in its sessions. Its objects take twice as much at most:
    /// those of its files, and those that are not known yet or not needed any more.
    pub(crate) most_bytes: Option<u64>,
}

/// Whether a part may be put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reserved {
    Done,
    /// The session is deleted.
    NoSession,
    /// The organisation's objects take as much as they may; when the next of them goes.
    Full(Option<i64>),
}

/// A part that may be put yet, though nobody waits for that any more.
#[derive(Clone, Debug)]
pub(crate) struct Unsure {
    pub(crate) object_key: String,
    /// When to remove it: by then it is there, or never will be.
    pub(crate) due_time: i64,
}

/// Which files to list.
#[derive(Clone, Debug)]
pub(crate) struct FilePage {
    pub(crate) session_id: Uuid,
    /// The folder; `/` for all.
    pub(crate) folder: String,
    /// Levels to go down, from 1.
    pub(crate) depth: i64,
    /// The path that was last on the page before.
    pub(crate) after: String,
    pub(crate) limit: u32,
}

/// A write that is to be made known.
#[derive(Clone, Debug)]
pub(crate) struct FileWrite {
    pub(crate) session_id: Uuid,
    pub(crate) org_id: String,
    pub(crate) path: String,
    /// Content whose parts were put.
    pub(crate) content_id: Uuid,
    /// How many parts, and how many bytes, it has.
    pub(crate) parts: i64,
    pub(crate) size: i64,
    pub(crate) sha256: Vec<u8>,
    pub(crate) etag: String,
    pub(crate) content_type: String,
    /// A file that the content goes behind keeps its type.
    pub(crate) keeps_type: bool,
    pub(crate) now: i64,
    /// When to remove what it replaces.
    pub(crate) due_time: i64,
    pub(crate) how: How,
    /// etag that the old file must have; empty: any.
    pub(crate) if_match: String,
    /// Bytes that the organisation may keep in its sessions, and files that the session may have.
    pub(crate) most_bytes: Option<u64>,
    pub(crate) most_files: u64,
    /// Bytes that one file may have.
    pub(crate) most_file_bytes: u64,
}

/// What a write does with a file that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// Nothing: there must be none.
    Create,
    Replace,
    /// The content goes behind the old one.
    Append {
        /// The part that the new content holds too, and takes the place of: it must still be the last.
        instead_of: Option<String>,
    },
}

/// Whether a write was made known, or why not.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Written {
    Done(FileRecord),
    /// There is a file, and there must be none.
    Exists,
    /// The file is not the one that was meant, or none.
    EtagMismatch,
    /// This path, on the way, is a file.
    NotAFolder(String),
    /// The path is a folder.
    IsAFolder,
    /// The organisation would keep more bytes than it may.
    OverBytes,
    /// The session would have more files than it may.
    OverFiles,
    /// The file would be larger than one may be.
    TooLarge,
    /// The part that was to be replaced is not the last any more.
    TailChanged,
    /// Parts of the content were removed, since they were put too long ago.
    PartsGone,
    /// The session is deleted.
    NoSession,
}

/// What became of a delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removed {
    /// So many files are gone.
    Done(u64),
    /// Nothing has this name.
    Missing,
    /// It is a folder, and was not to be deleted with all below it.
    IsAFolder,
}

/// Files of sessions. The content of one is the parts of its content_id that are not due.
#[async_trait]
pub(crate) trait FileStore: Send + Sync + 'static {
    /// A file or folder.
    async fn file(&self, session_id: Uuid, path: &str) -> Result<Option<FileRecord>, StoreError>;

    /// A file or folder with its parts, in their order.
    async fn file_with_parts(
        &self,
        session_id: Uuid,
        path: &str,
    ) -> Result<Option<(FileRecord, Vec<PartRecord>)>, StoreError>;

    /// Files and folders below a folder, in bytewise order of their paths.
    async fn list_files(&self, page: &FilePage) -> Result<Vec<FileRecord>, StoreError>;

    /// Notes a part that is about to be put, if it may be.
    async fn reserve_part(&self, new: &NewPart) -> Result<Reserved, StoreError>;

    /// Makes a write known: all of it, or nothing.
    async fn write_file(&self, write: &FileWrite) -> Result<Written, StoreError>;

    /// Makes due what was put of content that will not be made known.
    async fn abandon_parts(
        &self,
        content_id: Uuid,
        due_time: i64,
        unsure: Option<&Unsure>,
    ) -> Result<(), StoreError>;

    /// Deletes a file, or a folder with all below it.
    async fn remove_files(
        &self,
        session_id: Uuid,
        path: &str,
        recursive: bool,
        due_time: i64,
    ) -> Result<Removed, StoreError>;

    /// Deletes all files of a session, and makes all parts due that one of them has.
    async fn remove_files_of_session(
        &self,
        session_id: Uuid,
        due_time: i64,
    ) -> Result<(), StoreError>;

    /// Parts that are due by then, longest due first. No write can have them any more, and they are due
    /// again at `again`, so that what cannot be removed keeps nothing else from it.
    async fn due_parts(
        &self,
        now: i64,
        again: i64,
        limit: u32,
    ) -> Result<Vec<PartRecord>, StoreError>;

    /// Forgets parts whose objects are gone, if they are still due.
    async fn drop_parts(&self, object_keys: &[String]) -> Result<(), StoreError>;

    /// Bytes of all files in the sessions of an organisation.
    async fn file_bytes_of_org(&self, org_id: &str) -> Result<i64, StoreError>;
}
