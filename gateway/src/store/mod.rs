//! What the gateway remembers. [`Store`] is the whole interface; SQL is known to its
//! implementations only.

mod record;
mod sqlite;

pub(crate) use record::{
    Changes, InsertOutcome, OwnerFilter, PageKey, SandboxFilter, SandboxRecord, SessionFilter,
    SessionRecord,
};
pub(crate) use sqlite::SqliteStore;

use async_trait::async_trait;
use thiserror::Error;
use uuid::Uuid;

/// Why the store could not answer. What was acknowledged before is not lost.
#[derive(Debug, Error)]
pub(crate) enum StoreError {
    /// The database refused or could not be reached.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("migration: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// A row holds what this version cannot read.
    #[error("row {0} cannot be read")]
    Corrupt(String),
    /// The folder of the database cannot be used.
    #[error("data folder: {0}")]
    Folder(#[from] std::io::Error),
}

/// Sessions and sandboxes, kept durably. Every method is one transaction.
#[async_trait]
pub(crate) trait Store: Send + Sync + 'static {
    /// The id of this installation, made on first use; the same for all gateways on one store.
    async fn gateway_id(&self) -> Result<Uuid, StoreError>;

    /// Adds a session, unless its id or its owner's request_id is taken: then the one that has it.
    async fn insert_session(
        &self,
        session: &SessionRecord,
    ) -> Result<InsertOutcome<SessionRecord>, StoreError>;

    /// A session that is not deleted.
    async fn session(&self, session_id: Uuid) -> Result<Option<SessionRecord>, StoreError>;

    /// Sessions, newest first.
    async fn list_sessions(&self, filter: &SessionFilter)
    -> Result<Vec<SessionRecord>, StoreError>;

    /// Marks a session deleted; false where it already was, or never existed.
    async fn delete_session(&self, session_id: Uuid, now: i64) -> Result<bool, StoreError>;

    /// Adds a sandbox, unless its id, request_id or alias is taken: then the one that has it.
    async fn insert_sandbox(
        &self,
        sandbox: &SandboxRecord,
    ) -> Result<InsertOutcome<SandboxRecord>, StoreError>;

    /// A sandbox by its id, tombstones included.
    async fn sandbox(&self, sandbox_id: Uuid) -> Result<Option<SandboxRecord>, StoreError>;

    /// A living sandbox by its alias.
    async fn sandbox_by_alias(
        &self,
        session_id: Uuid,
        alias: &str,
    ) -> Result<Option<SandboxRecord>, StoreError>;

    /// Sandboxes, newest first.
    async fn list_sandboxes(
        &self,
        filter: &SandboxFilter,
    ) -> Result<Vec<SandboxRecord>, StoreError>;

    /// Applies changes if the row still has the version that they were made from. The row as it
    /// is then, or none where another change came first.
    async fn change_sandbox(
        &self,
        sandbox_id: Uuid,
        version: i64,
        changes: &Changes,
    ) -> Result<Option<SandboxRecord>, StoreError>;

    /// Forgets a sandbox whose create was taken back, and frees its request_id and alias.
    async fn forget_sandbox(&self, sandbox_id: Uuid, version: i64) -> Result<bool, StoreError>;
}
