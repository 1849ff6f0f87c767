//! What one watcher is told. It is read from the store as the watcher takes it, a batch at a time, so
//! that a slow one costs no memory and holds up nobody.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use prost::Message as _;
use sandgate_proto::v1::{
    EventsMissed, KeepAlive, SandboxChanged, SessionEvent, WatchSessionResponse,
    session_event::Event, watch_session_response,
};
use sandgate_service::{Drain, draining};
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use super::{cursor::Cursor, event, sandboxes_of, topics::Listener};
use crate::{
    clock,
    problem::{self, Result},
    sandbox,
    store::{EventRecord, PageKey, SessionRecord, Store},
};

/// Rows that are read at a time.
const BATCH: u32 = 100;
/// Silence after which a watcher is told that all is well.
const SILENCE: Duration = Duration::from_secs(15);

/// One watcher.
pub(super) struct Reader {
    pub(super) store: Arc<dyn Store>,
    pub(super) drain: Drain,
    pub(super) listener: Listener,
    pub(super) session: SessionRecord,
    /// Only events of this sandbox, and of the session itself.
    pub(super) sandbox_id: Option<Uuid>,
    /// The last event that was read.
    seq: i64,
    phase: Phase,
    ready: VecDeque<SessionEvent>,
    /// When it was last told anything.
    pub(super) told: Instant,
}

enum Phase {
    /// The states of sandboxes come first; after this one.
    States(Option<PageKey>),
    Changes,
    Ended,
}

impl Reader {
    /// One who begins with the present state.
    pub(super) fn new(
        store: Arc<dyn Store>,
        drain: Drain,
        listener: Listener,
        session: SessionRecord,
        seq: i64,
    ) -> Self {
        Self {
            store,
            drain,
            listener,
            session,
            sandbox_id: None,
            seq,
            phase: Phase::States(None),
            ready: VecDeque::new(),
            told: Instant::now(),
        }
    }

    /// Goes on where a cursor stands, if all that happened since is still kept.
    pub(super) async fn resume(&mut self, cursor: Cursor) -> Result<()> {
        if !cursor.whole {
            return Ok(());
        }
        let first = self.store.first_event_seq().await?;
        // A cursor from the future was made before the database was put back to an older copy.
        if cursor.seq + 1 < first || cursor.seq > self.seq {
            let missed = event::message(clock::now(), Event::EventsMissed(EventsMissed {}));
            self.push(missed, false);
        } else {
            self.seq = cursor.seq;
            self.phase = Phase::Changes;
        }
        Ok(())
    }

    /// The next message; none after the end of the session.
    pub(super) async fn next(&mut self) -> Result<Option<WatchSessionResponse>> {
        loop {
            if let Some(entry) = self.ready.pop_front() {
                self.told = Instant::now();
                if matches!(entry.event, Some(Event::SessionDeleted(_))) {
                    self.phase = Phase::Ended;
                    self.ready.clear();
                }
                return Ok(Some(response(watch_session_response::Event::Entry(entry))));
            }
            match &self.phase {
                Phase::Ended => return Ok(None),
                Phase::States(after) => self.read_states(after.clone()).await?,
                Phase::Changes => {
                    if self.read_changes().await? {
                        continue;
                    }
                    tokio::select! {
                        () = self.listener.rung() => {}
                        () = self.drain.started() => return Err(draining()),
                        () = sleep_until(self.told + SILENCE) => {
                            self.told = Instant::now();
                            let alive = watch_session_response::Event::KeepAlive(KeepAlive {});
                            return Ok(Some(response(alive)));
                        }
                    }
                }
            }
        }
    }

    async fn read_states(&mut self, after: Option<PageKey>) -> Result<()> {
        let rows = match self.sandbox_id {
            Some(sandbox_id) => {
                let found = self.store.sandbox(sandbox_id).await?;
                let living = found.filter(|row| row.delete_time.is_none());
                living.into_iter().collect()
            }
            None => sandboxes_of(&*self.store, &self.session, Vec::new(), after, BATCH).await?,
        };
        let full = rows.len() == BATCH as usize;
        let count = rows.len();
        self.phase = match rows.last() {
            Some(last) if full => Phase::States(Some(PageKey {
                time: last.create_time,
                id: last.sandbox_id.to_string(),
            })),
            _ => Phase::Changes,
        };
        for (index, row) in rows.iter().enumerate() {
            let changed = Event::SandboxChanged(SandboxChanged {
                sandbox: Some(sandbox::describe(row)?),
                previous_state: 0,
            });
            // Who loses the stream before the last of them has to hear them all again.
            let whole = !full && index + 1 == count;
            self.push(event::message(clock::now(), changed), whole);
        }
        Ok(())
    }

    /// Reads on; whether there was anything.
    async fn read_changes(&mut self) -> Result<bool> {
        let events = self
            .store
            .events_after(self.session.session_id, self.seq, BATCH)
            .await?;
        let any = !events.is_empty();
        for record in events {
            self.seq = record.seq;
            if self.wants(&record) {
                let entry = SessionEvent::decode(record.payload.as_slice())
                    .map_err(|error| problem::damaged("session event", &error))?;
                self.push(entry, true);
            }
        }
        Ok(any)
    }

    fn wants(&self, record: &EventRecord) -> bool {
        match (self.sandbox_id, record.sandbox_id) {
            (Some(wanted), Some(about)) => wanted == about,
            _ => true,
        }
    }

    fn push(&mut self, mut entry: SessionEvent, whole: bool) {
        let seq = self.seq;
        entry.cursor = Cursor { seq, whole }.seal(self.session.session_id);
        self.ready.push_back(entry);
    }
}

fn response(event: watch_session_response::Event) -> WatchSessionResponse {
    WatchSessionResponse { event: Some(event) }
}
