//! Copies between a session's storage and its sandboxes. One goes on without its caller; any number of
//! callers watch it, and the same request_id joins it.
//!
//! A copy that can be repeated is claimed in the store while a gateway works on it, with what it has
//! done: so the same request joins it from another gateway, and takes it over from one that died. It
//! is claimed once it is its turn: those that wait write nothing.

mod claim;
mod events;
mod flight;
mod progress;
mod room;
mod tar;
mod upload;
mod work;
mod workspace;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use prost::Message as _;
use sandgate_proto::v1::{FileTransfer, TransferResult, WorkspaceResult};
use sandgate_service::Drain;
use tokio::{runtime::Handle, sync::watch};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

pub(crate) use events::{Event, events};
pub(crate) use room::Place;
pub(crate) use upload::{not_uploaded, uploaded};

use crate::{
    file::Files,
    ids::SandboxRef,
    principal::{Owner, Principal},
    problem::{self, Result},
    replay::{Repeatable, Replays},
    sandbox::Sandboxes,
    store::{SessionRecord, Store},
};
use flight::Flying;
use progress::Seen;
use room::Room;

/// How long a copy that nobody works on may still be taken over.
pub(crate) const KEPT: Duration = Duration::from_secs(24 * 3600);
/// How long a copy may take, its waiting included.
const LONGEST: Duration = Duration::from_secs(6 * 3600);

/// What to copy.
#[derive(Clone, Debug)]
pub(crate) enum Order {
    /// Files of the session into the sandbox.
    In(Vec<FileTransfer>),
    /// Files of the sandbox into the session's storage.
    Out(Vec<FileTransfer>),
    /// A directory of the sandbox into the session's storage.
    Workspace {
        /// Empty: the workspace.
        sandbox_path: String,
        /// In its one form.
        session_path: String,
        excludes: Vec<String>,
        max_bytes: Option<u64>,
    },
}

/// What became of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Done {
    Files(TransferResult),
    Workspace(WorkspaceResult),
}

/// A copy that is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) principal: Principal,
    pub(crate) session: SessionRecord,
    pub(crate) sandbox: SandboxRef,
    pub(crate) order: Order,
    /// What whoever asks has to be allowed.
    pub(crate) scope: &'static str,
    pub(crate) repeat: Option<Repeat>,
}

/// What makes a copy one that can be repeated.
#[derive(Clone, Debug)]
pub(crate) struct Repeat {
    pub(crate) request_id: Uuid,
    /// Path of the rpc.
    pub(crate) method: &'static str,
    /// The request, encoded.
    pub(crate) message: Arc<[u8]>,
    /// What became of its files is told once, so that none is tried again.
    pub(crate) once: bool,
}

/// Names a copy in this process.
type Key = (Owner, Uuid);

/// The copies of this gateway. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Transfers {
    store: Arc<dyn Store>,
    sandboxes: Sandboxes,
    files: Arc<Files>,
    replays: Arc<Replays>,
    flying: Arc<Mutex<HashMap<Key, Flying>>>,
    room: Room,
    tasks: TaskTracker,
    runtime: Handle,
    drain: Drain,
}

impl Transfers {
    /// They run where this is called: on no worker, which ends with its connections.
    pub(crate) fn new(
        store: Arc<dyn Store>,
        sandboxes: Sandboxes,
        files: Arc<Files>,
        replays: Arc<Replays>,
        tasks: TaskTracker,
        drain: Drain,
    ) -> Self {
        Self {
            store,
            sandboxes,
            files,
            replays,
            flying: Arc::default(),
            room: Room::default(),
            tasks,
            runtime: Handle::current(),
            drain,
        }
    }

    /// Begins a copy, joins the one of the same request, or finds what became of that.
    ///
    /// # Errors
    /// `REQUEST_ID_REUSED`, and `QUOTA_EXCEEDED` where the organisation has too many.
    pub(crate) async fn begin(&self, job: Job) -> Result<watch::Receiver<Seen>> {
        if let Some(repeat) = &job.repeat
            && let Some(done) = self.answer(&job, repeat).await?
        {
            return Ok(watch::channel(Seen::ended(Ok(done))).1);
        }
        self.join_or_start(job, None)
    }

    /// Room for a copy of an organisation.
    ///
    /// # Errors
    /// `QUOTA_EXCEEDED`.
    fn place(&self, org_id: &str) -> Result<Place> {
        let place = self.room.enter(org_id);
        place.ok_or_else(|| problem::too_many_transfers(org_id))
    }

    /// What became of the same request before.
    async fn answer(&self, job: &Job, repeat: &Repeat) -> Result<Option<Done>> {
        let asked = repeat.repeatable(&job.principal.owner);
        let Some(answer) = self.replays.find(&asked).await? else {
            return Ok(None);
        };
        let answer = answer.as_slice();
        let done = match job.order {
            Order::Workspace { .. } => WorkspaceResult::decode(answer).map(Done::Workspace),
            _ => TransferResult::decode(answer).map(Done::Files),
        };
        done.map(Some)
            .map_err(|error| problem::damaged("transfer", &error))
    }

    /// Drops copies that nobody has worked on since a time, at most so many; how many.
    pub(crate) async fn drop_before(&self, time: i64, limit: u32) -> Result<u64> {
        Ok(self.store.drop_transfers_before(time, limit).await?)
    }
}

impl Repeat {
    fn repeatable<'a>(&'a self, owner: &'a Owner) -> Repeatable<'a> {
        Repeatable {
            owner,
            request_id: self.request_id,
            method: self.method,
            message: &self.message,
        }
    }
}

impl Done {
    fn encoded(&self) -> Vec<u8> {
        match self {
            Self::Files(result) => result.encode_to_vec(),
            Self::Workspace(result) => result.encode_to_vec(),
        }
    }
}
