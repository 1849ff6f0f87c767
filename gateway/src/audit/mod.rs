//! The audit log: who did what. Events are queued where they happen and written by one task, many at
//! a time. What an authenticated caller did is left out only where the database has taken nothing for
//! so long that the queue is full; it is counted then.

mod event;
mod lines;
mod writer;

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{
        Notify,
        mpsc::{self, error::TrySendError},
        oneshot,
    },
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

pub(crate) use event::Event;

use crate::{
    principal::{ADMIN, Principal},
    problem::Result,
    store::{AuditFilter, AuditRecord, Store},
};
use lines::Lines;
use writer::{Entry, Writing};

/// Events that wait to be written.
const QUEUE: usize = 8192;
/// How long an event waits for room in the queue, while the database takes some.
const ROOM: Duration = Duration::from_secs(1);
/// How long the last events may keep an ending process alive.
const LAST_EVENTS: Duration = Duration::from_secs(10);

/// The log. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Log {
    queue: mpsc::Sender<Entry>,
    shared: Arc<Shared>,
}

/// What the log and its writer share.
struct Shared {
    store: Arc<dyn Store>,
    /// Somebody waits until an event is written.
    urgent: Notify,
    /// Events that found no room.
    dropped: AtomicU64,
    /// Events that are not written yet.
    waiting: AtomicUsize,
    /// The database takes none now.
    failing: AtomicBool,
}

impl Shared {
    fn drop_one(&self) {
        if self.dropped.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::error!("the audit log has no room; from now on what is left out is counted");
        }
    }
}

/// An event that waits for room; left out where that is given up.
struct Hopeful<'a>(Option<&'a Shared>);

impl Drop for Hopeful<'_> {
    fn drop(&mut self) {
        if let Some(shared) = self.0 {
            shared.drop_one();
        }
    }
}

/// The task that writes the log.
pub(crate) struct Writer {
    task: JoinHandle<()>,
    end: CancellationToken,
    shared: Arc<Shared>,
}

/// Starts the log, written on the runtime where this is called; `file`: where to copy it to.
///
/// # Errors
/// Where the file cannot be opened.
pub(crate) async fn start(
    store: Arc<dyn Store>,
    file: Option<PathBuf>,
) -> io::Result<(Log, Writer)> {
    let lines = match file {
        Some(path) => Some(Lines::open(path).await?),
        None => None,
    };
    let (sender, queue) = mpsc::channel(QUEUE);
    let shared = Arc::new(Shared {
        store,
        urgent: Notify::new(),
        dropped: AtomicU64::new(0),
        waiting: AtomicUsize::new(0),
        failing: AtomicBool::new(false),
    });
    let end = CancellationToken::new();
    let writing = Writing {
        shared: shared.clone(),
        queue,
        lines,
        end: end.clone(),
    };
    let task = tokio::spawn(writing.run());
    let log = Log {
        queue: sender,
        shared: shared.clone(),
    };
    Ok((log, Writer { task, end, shared }))
}

impl Log {
    /// Writes an event; returns once it is durable, or where there is no room for it.
    pub(crate) async fn record(&self, event: Event) {
        let (written, done) = oneshot::channel();
        self.send(event, Some(written)).await;
        self.shared.urgent.notify_one();
        let _ = done.await;
    }

    /// Leaves an event to be written within moments; waits only where the queue is full, and not for
    /// a database that takes nothing.
    pub(crate) async fn enqueue(&self, event: Event) {
        self.send(event, None).await;
    }

    /// The same for what a stranger was refused: where the queue is full it is only counted, so
    /// that strangers hold up nobody. How many there were is written later.
    pub(crate) fn try_note(&self, event: Event) {
        let entry = Entry {
            event,
            written: None,
        };
        match self.queue.try_send(entry) {
            Ok(()) => self.sent(),
            Err(_) => self.shared.drop_one(),
        }
    }

    async fn send(&self, event: Event, written: Option<oneshot::Sender<()>>) {
        let entry = match self.queue.try_send(Entry { event, written }) {
            Ok(()) => return self.sent(),
            Err(TrySendError::Full(entry)) => entry,
            Err(TrySendError::Closed(_)) => {
                tracing::error!("an audit event came after the end of the log");
                return;
            }
        };
        let mut hope = Hopeful(Some(&*self.shared));
        if self.shared.failing.load(Ordering::Relaxed) {
            return;
        }
        if let Ok(Ok(())) = timeout(ROOM, self.queue.send(entry)).await {
            hope.0 = None;
            self.sent();
        }
    }

    fn sent(&self) {
        self.shared.waiting.fetch_add(1, Ordering::Relaxed);
    }

    /// Events that the caller may see, newest first. Those of all for an admin who names nobody, its
    /// own user's, or whom it may act for, for anybody else.
    pub(crate) async fn list(
        &self,
        principal: &Principal,
        mut filter: AuditFilter,
    ) -> Result<Vec<AuditRecord>> {
        if !principal.scopes.allow(ADMIN) {
            let asked = |id: &Option<String>| id.clone().unwrap_or_default();
            let owner = principal.acting_for(&asked(&filter.org_id), &asked(&filter.user_id))?;
            filter.org_id = Some(owner.org_id);
            filter.user_id = Some(owner.user_id);
        }
        self.shared
            .store
            .list_audit(&filter)
            .await
            .map_err(Into::into)
    }
}

impl Writer {
    /// Writes what is queued and ends. Events that come later are refused.
    pub(crate) async fn finish(mut self) {
        self.end.cancel();
        if timeout(LAST_EVENTS, &mut self.task).await.is_err() {
            self.task.abort();
            let events = self.shared.waiting.load(Ordering::Relaxed);
            tracing::error!(events, "ended with audit events that could not be written");
        }
    }
}

#[cfg(test)]
mod tests;
