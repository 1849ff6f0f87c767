//! The audit log: who did what. Events are queued where they happen and written by one task, many at
//! a time; nothing that an authenticated caller did is ever left out.

mod event;
mod lines;
mod writer;

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, mpsc, oneshot},
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
    /// Refusals of strangers that found no room.
    dropped: AtomicU64,
}

/// The task that writes the log.
pub(crate) struct Writer {
    task: JoinHandle<()>,
    end: CancellationToken,
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
    });
    let end = CancellationToken::new();
    let writing = Writing {
        shared: shared.clone(),
        queue,
        lines,
        end: end.clone(),
    };
    let task = tokio::spawn(writing.run());
    let queue = sender;
    Ok((Log { queue, shared }, Writer { task, end }))
}

impl Log {
    /// Writes an event; returns once it is durable.
    pub(crate) async fn record(&self, event: Event) {
        let (written, done) = oneshot::channel();
        self.send(event, Some(written)).await;
        self.shared.urgent.notify_one();
        let _ = done.await;
    }

    /// Leaves an event to be written within moments; waits only where the queue is full.
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
        if self.queue.try_send(entry).is_err() {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn send(&self, event: Event, written: Option<oneshot::Sender<()>>) {
        let entry = Entry { event, written };
        if self.queue.send(entry).await.is_err() {
            tracing::error!("an audit event came after the end of the log");
        }
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
            tracing::error!("ended with audit events that could not be written");
        }
    }
}

#[cfg(test)]
mod tests;
