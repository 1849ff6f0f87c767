//! What the gateway remembers. [`Store`] is the whole interface; SQL is known to its
//! implementations only.

mod agent;
mod audit;
mod event;
mod fault;
mod file;
mod kept;
mod key;
mod life;
mod record;
mod request;
mod sandbox;
mod session;
mod sqlite;
mod transfer;
mod value;

pub(crate) use agent::{AgentChanges, AgentFilter, AgentRecord, AgentStore};
pub(crate) use audit::{AuditFilter, AuditRecord, AuditStore};
pub(crate) use event::{EventRecord, EventStore, NewEvent};
pub(crate) use fault::Fault;
pub(crate) use file::{
    FilePage, FileRecord, FileStore, FileWrite, How, NewPart, PartRecord, Removed, Reserved,
    Unsure, Written,
};
pub(crate) use kept::{KeptPage, KeptRecord, KeptStore};
pub(crate) use key::{KeyFilter, KeyRecord, KeyStore};
pub(crate) use life::LifeStore;
pub(crate) use record::{
    InsertOutcome, PageKey, SandboxFilter, SandboxInsert, SessionFilter, SessionRecord,
};
pub(crate) use request::{AnswerRecord, RequestStore};
pub(crate) use sandbox::{Changes, Looked, SandboxRecord, StateRecord};
pub(crate) use session::{SessionChanges, SessionStore};
pub(crate) use sqlite::SqliteStore;
pub(crate) use transfer::{TransferRecord, TransferStore, UploadRecord};
pub(crate) use value::{ValueKind, ValueRecord, ValueStore};

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
    /// The database's own check found damage.
    #[error("its check says: {0}")]
    Check(String),
    /// The folder of the database cannot be used.
    #[error("data folder: {0}")]
    Folder(#[from] std::io::Error),
}

/// Sessions and sandboxes, kept durably. Every method is one transaction.
#[async_trait]
pub(crate) trait Store:
    AgentStore
    + AuditStore
    + EventStore
    + FileStore
    + KeptStore
    + KeyStore
    + LifeStore
    + RequestStore
    + SessionStore
    + TransferStore
    + ValueStore
{
    /// The id of this installation, made on first use; the same for all gateways on one store.
    async fn gateway_id(&self) -> Result<Uuid, StoreError>;

    /// Whether it takes changes now: makes one, of something that nobody reads.
    async fn probe(&self) -> Result<(), StoreError>;

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

    /// Marks a session deleted and tells it, with the time to take down what it owned; false where it already
    /// was, or never existed.
    async fn delete_session(
        &self,
        session_id: Uuid,
        now: i64,
        cleanup_time: i64,
        event: Option<&NewEvent>,
    ) -> Result<bool, StoreError>;

    /// Adds a sandbox and tells it, unless its id, request_id or alias is taken: then the one that has it; nor
    /// where its organisation has `most` living ones already, or its key is gone; nor to a session
    /// that is deleted.
    async fn insert_sandbox(
        &self,
        sandbox: &SandboxRecord,
        most: Option<u32>,
        event: Option<&NewEvent>,
    ) -> Result<SandboxInsert, StoreError>;

    /// As [`Self::insert_sandbox`], with the files that it begins with.
    async fn insert_sandbox_with(
        &self,
        sandbox: &SandboxRecord,
        most: Option<u32>,
        event: Option<&NewEvent>,
        upload: Option<&UploadRecord>,
    ) -> Result<SandboxInsert, StoreError>;

    /// Whether a sandbox of its id or its request_id is there, so that it would not be added.
    async fn was_asked_for(&self, sandbox: &SandboxRecord) -> Result<bool, StoreError>;

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

    /// Applies changes, and tells them, if the row still has the version that they were made from.
    /// The row as it is then, or none where another change came first.
    async fn change_sandbox(
        &self,
        sandbox_id: Uuid,
        version: i64,
        changes: &Changes,
        event: Option<&NewEvent>,
    ) -> Result<Option<SandboxRecord>, StoreError>;

    /// As [`Self::change_sandbox`], for one whose create was taken back: frees its request_id and id.
    async fn forget_sandbox(
        &self,
        sandbox_id: Uuid,
        version: i64,
        changes: &Changes,
        event: Option<&NewEvent>,
    ) -> Result<bool, StoreError>;

    /// Sealed states under other keys than this one, in the order of their sandboxes' ids.
    async fn states_not_under(
        &self,
        key_id: &str,
        after: Uuid,
        limit: u32,
    ) -> Result<Vec<StateRecord>, StoreError>;

    /// Replaces a sealed state that is still the same; whether it was.
    async fn reseal_state(
        &self,
        state: &StateRecord,
        new: &[u8],
        key_id: &str,
    ) -> Result<bool, StoreError>;
}
