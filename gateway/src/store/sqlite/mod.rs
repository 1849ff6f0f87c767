//! The store on SQLite: one file, WAL, one writer.

mod agents;
mod audit;
mod cleanup;
mod events;
mod fault;
mod file_changes;
mod file_parts;
mod file_writes;
mod files;
mod kept;
mod keys;
mod life;
mod make;
mod requests;
mod row;
mod sandboxes;
mod sessions;
mod states;
mod transfers;
mod values;

use std::{path::Path, time::Duration};

use async_trait::async_trait;
use sqlx::{
    Connection as _, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::sync::broadcast;
use uuid::Uuid;

pub(super) use fault::fault;

use super::{
    Changes, InsertOutcome, NewEvent, SandboxFilter, SandboxInsert, SandboxRecord, SessionFilter,
    SessionRecord, StateRecord, Store, StoreError, UploadRecord,
};

/// How long a statement waits for another process that holds the lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a call waits for a connection of the pool.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections for reading; WAL lets them read beside the writer.
const READERS: u32 = 4;
/// Bytes of a database that is looked through whenever it is opened; in a larger one that takes long.
const CHECKED_BYTES: u64 = 256 << 20;
/// Sessions with news that a slow listener may be behind.
const NEWS: usize = 1024;

/// Sessions and sandboxes in one SQLite file.
pub(crate) struct SqliteStore {
    /// One connection: SQLite has one writer, and waiting here costs less than its busy handler.
    writer: SqlitePool,
    readers: SqlitePool,
    /// Sessions that got an event.
    told: broadcast::Sender<Uuid>,
}

impl SqliteStore {
    /// Opens the file, making it and its folder, and brings its schema up to date.
    pub(crate) async fn open(path: &Path) -> Result<Self, StoreError> {
        if let Some(folder) = path.parent() {
            tokio::fs::create_dir_all(folder).await?;
        }
        // Made by us first: SQLite would let everybody on the machine read it, and gives its other
        // files the mode of this one.
        let mut file = tokio::fs::OpenOptions::new();
        file.create(true).append(true).mode(0o600);
        let size = file.open(path).await?.metadata().await?.len();
        let writer = pool(1).connect_with(options(path)).await?;
        if size <= CHECKED_BYTES {
            check(&writer).await?;
        }
        sqlx::migrate!("./migrations").run(&writer).await?;
        let readers = options(path).read_only(true);
        let readers = pool(READERS).connect_with(readers).await?;
        Ok(Self {
            writer,
            readers,
            told: broadcast::Sender::new(NEWS),
        })
    }
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // An acknowledged create must survive a power cut, or its sandbox leaks.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        // Damage is said before it spreads.
        .pragma("cell_size_check", "ON")
        .busy_timeout(BUSY_TIMEOUT)
}

fn pool(size: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(size)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .after_release(|connection, _| {
            Box::pin(async move {
                if connection.is_in_transaction() {
                    // It may just be about to be rolled back.
                    connection.ping().await?;
                }
                // SQLite ends a transaction by itself where the disk is full. The driver has nothing
                // to roll back then and takes it for open for ever, so that every later one fails.
                Ok(!connection.is_in_transaction())
            })
        })
}

/// Whether the pages of the database hang together.
async fn check(pool: &SqlitePool) -> Result<(), StoreError> {
    let found: String = sqlx::query_scalar("PRAGMA quick_check(1)")
        .fetch_one(pool)
        .await?;
    match found.as_str() {
        "ok" => Ok(()),
        _ => Err(StoreError::Check(found)),
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn gateway_id(&self) -> Result<Uuid, StoreError> {
        let new = Uuid::new_v4().to_string();
        sqlx::query!(
            "INSERT OR IGNORE INTO installation (only_row, gateway_id) VALUES (1, ?)",
            new
        )
        .execute(&self.writer)
        .await?;
        let id = sqlx::query_scalar!("SELECT gateway_id FROM installation")
            .fetch_one(&self.writer)
            .await?;
        row::uuid(&id)
    }

    async fn probe(&self) -> Result<(), StoreError> {
        // It writes the first page, whatever stood there, and nothing here reads it.
        sqlx::query("PRAGMA user_version = 1")
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    async fn insert_session(
        &self,
        session: &SessionRecord,
    ) -> Result<InsertOutcome<SessionRecord>, StoreError> {
        sessions::insert(&self.writer, session).await
    }

    async fn session(&self, session_id: Uuid) -> Result<Option<SessionRecord>, StoreError> {
        sessions::find(&self.readers, session_id).await
    }

    async fn list_sessions(
        &self,
        filter: &SessionFilter,
    ) -> Result<Vec<SessionRecord>, StoreError> {
        sessions::list(&self.readers, filter).await
    }

    async fn delete_session(
        &self,
        session_id: Uuid,
        now: i64,
        cleanup_time: i64,
        event: Option<&NewEvent>,
    ) -> Result<bool, StoreError> {
        let done = sessions::delete(&self.writer, session_id, now, cleanup_time, event).await?;
        self.tell(event.filter(|_| done));
        Ok(done)
    }

    async fn insert_sandbox(
        &self,
        sandbox: &SandboxRecord,
        most: Option<u32>,
        event: Option<&NewEvent>,
    ) -> Result<SandboxInsert, StoreError> {
        self.insert_sandbox_with(sandbox, most, event, None).await
    }

    async fn insert_sandbox_with(
        &self,
        sandbox: &SandboxRecord,
        most: Option<u32>,
        event: Option<&NewEvent>,
        upload: Option<&UploadRecord>,
    ) -> Result<SandboxInsert, StoreError> {
        let outcome = make::insert(&self.writer, sandbox, most, event, upload).await?;
        let inserted = outcome == SandboxInsert::Done(InsertOutcome::Inserted);
        self.tell(event.filter(|_| inserted));
        Ok(outcome)
    }

    async fn was_asked_for(&self, sandbox: &SandboxRecord) -> Result<bool, StoreError> {
        make::was_asked_for(&self.readers, sandbox).await
    }

    async fn sandbox(&self, sandbox_id: Uuid) -> Result<Option<SandboxRecord>, StoreError> {
        sandboxes::find(&self.readers, sandbox_id).await
    }

    async fn sandbox_by_alias(
        &self,
        session_id: Uuid,
        alias: &str,
    ) -> Result<Option<SandboxRecord>, StoreError> {
        sandboxes::find_by_alias(&self.readers, session_id, alias).await
    }

    async fn list_sandboxes(
        &self,
        filter: &SandboxFilter,
    ) -> Result<Vec<SandboxRecord>, StoreError> {
        sandboxes::list(&self.readers, filter).await
    }

    async fn change_sandbox(
        &self,
        sandbox_id: Uuid,
        version: i64,
        changes: &Changes,
        event: Option<&NewEvent>,
    ) -> Result<Option<SandboxRecord>, StoreError> {
        let changed =
            sandboxes::change(&self.writer, sandbox_id, version, changes, false, event).await?;
        self.tell(event.filter(|_| changed.is_some()));
        Ok(changed)
    }

    async fn forget_sandbox(
        &self,
        sandbox_id: Uuid,
        version: i64,
        changes: &Changes,
        event: Option<&NewEvent>,
    ) -> Result<bool, StoreError> {
        let changed = sandboxes::change(&self.writer, sandbox_id, version, changes, true, event);
        let done = changed.await?.is_some();
        self.tell(event.filter(|_| done));
        Ok(done)
    }

    async fn states_not_under(
        &self,
        key_id: &str,
        after: Uuid,
        limit: u32,
    ) -> Result<Vec<StateRecord>, StoreError> {
        states::not_under(&self.readers, key_id, after, limit).await
    }

    async fn reseal_state(
        &self,
        state: &StateRecord,
        new: &[u8],
        key_id: &str,
    ) -> Result<bool, StoreError> {
        states::reseal(&self.writer, state, new, key_id).await
    }
}

#[cfg(test)]
mod tests;
