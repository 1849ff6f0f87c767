//! A store with a sandbox, and executions as a provider tells of them.

use std::{path::PathBuf, sync::Arc};

use bytes::Bytes;
use prost::Message;
use sandgate_proto::v1::{
    ChannelTotals, EndedExecution, Execution, ExecutionEnded, ExecutionState,
    ListExecutionsRequest, ListExecutionsResponse, OutputChunk, OutputTotals,
    execution_ended::Outcome,
};
use secrecy::SecretString;
use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;
use uuid::Uuid;

use crate::{
    clock,
    kept::{Kept, answer::Messages},
    problem::Result,
    store::{SandboxRecord, SessionRecord, SqliteStore, Store},
    vault::{Keyring, Vault},
};

/// `id:base64` of a key that is 32 times this byte.
pub(super) fn key(id: &str, byte: u8) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    format!("{id}:{}", STANDARD.encode([byte; 32]))
}

fn vault(keys: &str) -> Vault {
    let keyring = Keyring::parse(&SecretString::from(keys)).unwrap();
    Vault::new(Arc::new(keyring))
}

/// A store with one sandbox.
pub(super) struct Room {
    pub(super) kept: Kept,
    pub(super) session: SessionRecord,
    pub(super) sandbox: SandboxRecord,
    store: Arc<dyn Store>,
    file: PathBuf,
    folder: Arc<TempDir>,
}

impl Room {
    pub(super) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sandgate.db");
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&file).await.unwrap());
        let session = session();
        store.insert_session(&session).await.unwrap();
        Self {
            kept: Kept::new(store.clone(), vault(&key("a", 1))),
            sandbox: sandbox(&session),
            session,
            store,
            file,
            folder: Arc::new(folder),
        }
    }

    /// The same with other encryption keys.
    pub(super) fn with_keys(&self, keys: &str) -> Self {
        Self {
            kept: Kept::new(self.store.clone(), vault(keys)),
            session: self.session.clone(),
            sandbox: self.sandbox.clone(),
            store: self.store.clone(),
            file: self.file.clone(),
            folder: self.folder.clone(),
        }
    }

    pub(super) async fn keep(&self, ended: &[EndedExecution]) {
        self.kept.keep(&self.sandbox, ended).await.unwrap();
    }

    pub(super) async fn try_answer(
        &self,
        rpc: &str,
        asked: &impl Message,
    ) -> Result<Option<Messages>> {
        let (session_id, sandbox_id) = (self.sandbox.session_id, self.sandbox.sandbox_id);
        let message = asked.encode_to_vec();
        self.kept
            .answer(session_id, sandbox_id, rpc, &message)
            .await
    }

    pub(super) async fn answer(&self, rpc: &str, asked: &impl Message) -> Messages {
        self.try_answer(rpc, asked).await.unwrap().unwrap()
    }

    /// A start, repeated after the sandbox was started again so often.
    pub(super) async fn repeat(
        &self,
        rpc: &str,
        asked: &impl Message,
        boots: i64,
    ) -> Result<Option<Messages>> {
        let (session_id, sandbox_id) = (self.sandbox.session_id, self.sandbox.sandbox_id);
        let message = asked.encode_to_vec();
        self.kept
            .repeat(session_id, sandbox_id, boots, rpc, &message)
            .await
    }

    pub(super) async fn list(&self, token: &str, size: u32) -> Option<ListExecutionsResponse> {
        let asked = ListExecutionsRequest {
            page_token: token.to_owned(),
            page_size: size,
            ..Default::default()
        };
        let answer = self.try_answer("ListExecutions", &asked).await.unwrap();
        answer.map(only)
    }

    /// All that the store has written.
    pub(super) fn bytes_of_the_file(&self) -> Vec<u8> {
        let files = std::fs::read_dir(self.folder.path()).unwrap();
        files
            .flat_map(|file| std::fs::read(file.unwrap().path()).unwrap())
            .collect()
    }

    /// Does something to the file behind everybody's back.
    pub(super) async fn tamper(&self, sql: &'static str) {
        let options = SqliteConnectOptions::new().filename(&self.file);
        let mut file = SqliteConnection::connect_with(&options).await.unwrap();
        let done = sqlx::query(sql).execute(&mut file).await.unwrap();
        assert!(done.rows_affected() > 0, "{sql}");
    }
}

/// The only message of an answer.
pub(super) fn only<M: Message + Default>(messages: Messages) -> M {
    let [message] = messages.try_into().unwrap();
    M::decode(message).unwrap()
}

pub(super) fn seconds(seconds: i64) -> prost_types::Duration {
    prost_types::Duration { seconds, nanos: 0 }
}

/// An execution that began and ended so many seconds ago, without output.
pub(super) fn ended(id: &str, age: i64) -> EndedExecution {
    let time = clock::timestamp(clock::now() - age * 1000);
    let nothing = Some(ChannelTotals::default());
    EndedExecution {
        execution: Some(Execution {
            execution_id: id.to_owned(),
            command: format!("print {id}"),
            cwd: "/workspace".to_owned(),
            state: ExecutionState::Ended.into(),
            start_time: Some(time),
            ended: Some(ExecutionEnded {
                outcome: Some(Outcome::ExitCode(3)),
                stdout: nothing,
                stderr: nothing,
                terminal: None,
                end_time: Some(time),
                duration: Some(seconds(1)),
            }),
            totals: Some(OutputTotals {
                stdout: nothing,
                stderr: nothing,
                terminal: None,
            }),
            ..Default::default()
        }),
        tails: Vec::new(),
    }
}

/// The same that wrote so much to standard output and standard error, with these tails.
pub(super) fn wrote(id: &str, bytes: [u64; 2], tails: Vec<OutputChunk>) -> EndedExecution {
    let mut seen = ended(id, 10);
    let execution = seen.execution.as_mut().unwrap();
    let [stdout, stderr] = bytes.map(|bytes| {
        Some(ChannelTotals {
            bytes,
            truncated: false,
        })
    });
    let end = execution.ended.as_mut().unwrap();
    (end.stdout, end.stderr) = (stdout, stderr);
    execution.totals = Some(OutputTotals {
        stdout,
        stderr,
        terminal: None,
    });
    seen.tails = tails;
    seen
}

pub(super) fn tail(channel: i32, offset: u64, data: &[u8]) -> OutputChunk {
    OutputChunk {
        channel,
        offset,
        data: Bytes::copy_from_slice(data),
    }
}

fn session() -> SessionRecord {
    SessionRecord::new(Uuid::new_v4(), "dev".into(), "dev".into(), 1)
}

fn sandbox(session: &SessionRecord) -> SandboxRecord {
    SandboxRecord::new(Uuid::new_v4(), session, "local".into(), Vec::new(), 1)
}
