//! The one task that writes the log: many events in one transaction, then the file beside it.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{Event, Shared, lines::Lines};
use crate::store::AuditRecord;

/// Events that one transaction holds.
const BATCH: usize = 512;
/// How long events that nobody waits for are gathered: they wake the writer once in this time, not
/// each by itself.
const GATHER: Duration = Duration::from_millis(50);
/// Time between two tries where the database, or the file, cannot be written: first and longest.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// An event on its way, and who waits until it is written.
pub(super) struct Entry {
    pub(super) event: Event,
    pub(super) written: Option<oneshot::Sender<()>>,
}

/// The writer's end of the queue.
pub(super) struct Writing {
    pub(super) shared: Arc<Shared>,
    pub(super) queue: mpsc::Receiver<Entry>,
    pub(super) lines: Option<Lines>,
    pub(super) end: CancellationToken,
}

impl Writing {
    /// Writes until the end is told, and then what is left.
    pub(super) async fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            self.gather(&mut batch).await;
            if batch.is_empty() {
                return;
            }
            let (count, full) = (batch.len(), batch.len() == BATCH);
            self.write(&mut batch).await;
            self.shared.waiting.fetch_sub(count, Ordering::Relaxed);
            // Said once the rush is over, and not with each batch of it.
            if !full {
                self.tell_dropped().await;
            }
        }
    }

    /// The next events; none at the end.
    async fn gather(&mut self, batch: &mut Vec<Entry>) {
        if self.end.is_cancelled() {
            self.queue.close();
        }
        while batch.is_empty() {
            tokio::select! {
                first = self.queue.recv() => match first {
                    Some(first) => batch.push(first),
                    None => return,
                },
                () = self.end.cancelled(), if !self.end.is_cancelled() => self.queue.close(),
                () = sleep(RETRY.1), if self.lines.as_ref().is_some_and(Lines::has_waiting) => self.write_lines().await,
            }
        }
        self.take(batch);
        if batch.len() < BATCH && batch.iter().all(|entry| entry.written.is_none()) {
            tokio::select! {
                () = sleep(GATHER) => {}
                () = self.shared.urgent.notified() => {}
                () = self.end.cancelled() => {}
            }
            self.take(batch);
        }
    }

    /// Takes what is there, up to a full batch.
    fn take(&mut self, batch: &mut Vec<Entry>) {
        while batch.len() < BATCH
            && let Ok(entry) = self.queue.try_recv()
        {
            batch.push(entry);
        }
    }

    /// Writes a batch, however often it takes.
    async fn write(&mut self, batch: &mut Vec<Entry>) {
        let (records, waiting): (Vec<_>, Vec<_>) = batch
            .drain(..)
            .map(|entry| (entry.event.into_record(), entry.written))
            .unzip();
        self.append(&records).await;
        for written in waiting.into_iter().flatten() {
            // Who no longer waits does not mind.
            let _ = written.send(());
        }
        if let Some(lines) = &mut self.lines {
            lines.add(&records);
        }
        self.write_lines().await;
    }

    async fn append(&self, records: &[AuditRecord]) {
        let mut pause = RETRY.0;
        while let Err(error) = self.shared.store.append_audit(records).await {
            self.shared.failing.store(true, Ordering::Relaxed);
            tracing::error!(%error, events = records.len(), "cannot write the audit log; trying again");
            sleep(pause).await;
            pause = (pause * 2).min(RETRY.1);
        }
        self.shared.failing.store(false, Ordering::Relaxed);
    }

    async fn write_lines(&mut self) {
        if let Some(lines) = &mut self.lines
            // A file may lie on a network: it never holds up the log itself for long.
            && timeout(RETRY.1, lines.write()).await.is_err()
        {
            tracing::error!("the audit file takes no lines in time");
        }
    }

    async fn tell_dropped(&mut self) {
        let dropped = self.shared.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            let event = Event::own("system/audit_dropped").detail("count", dropped.to_string());
            let entry = Entry {
                event,
                written: None,
            };
            self.write(&mut vec![entry]).await;
        }
    }
}
