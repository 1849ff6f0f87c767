//! What a watcher is told, read from a store without a gateway around it.

use prost::Message as _;
use sandgate_proto::v1::{Execution, SessionEvent, session_event::Event, watch_session_response};

use super::*;
use crate::store::{EventStore as _, SqliteStore};

struct Place {
    _folder: tempfile::TempDir,
    store: Arc<SqliteStore>,
    session: SessionRecord,
    drain: Drain,
}

impl Place {
    async fn new(sandboxes: i64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("db")).await.unwrap();
        let session = session();
        store.insert_session(&session).await.unwrap();
        for time in 0..sandboxes {
            let row = sandbox(&session, time);
            store.insert_sandbox(&row, None, None).await.unwrap();
        }
        Self {
            _folder: folder,
            store: Arc::new(store),
            session,
            drain: Drain::new(),
        }
    }

    async fn reader(&self, cursor: &str) -> Reader {
        let seq = self.store.last_event_seq().await.unwrap();
        let listener = Topics::default().listen(self.session.session_id);
        let (store, session) = (self.store.clone(), self.session.clone());
        let mut reader = Reader::new(store, self.drain.clone(), listener, session, seq);
        if !cursor.is_empty() {
            let cursor = Cursor::open(self.session.session_id, cursor).unwrap();
            reader.resume(cursor).await.unwrap();
        }
        reader
    }

    async fn tell(&self, id: &str, sandbox_id: Uuid) {
        let execution = Execution {
            execution_id: id.to_owned(),
            ..Default::default()
        };
        let session_id = self.session.session_id;
        let event = event::execution_finished(session_id, sandbox_id, execution);
        self.store.append_events(&[event]).await.unwrap();
    }
}

fn session() -> SessionRecord {
    SessionRecord::new(Uuid::new_v4(), "org".into(), "u".into(), 1)
}

fn sandbox(session: &SessionRecord, time: i64) -> SandboxRecord {
    SandboxRecord {
        state: 2,
        ..SandboxRecord::new(Uuid::new_v4(), session, "fake".into(), Vec::new(), time)
    }
}

async fn next(reader: &mut Reader) -> SessionEvent {
    match reader.next().await.unwrap().unwrap().event.unwrap() {
        watch_session_response::Event::Entry(entry) => entry,
        other => panic!("{other:?}"),
    }
}

fn execution(entry: &SessionEvent) -> &str {
    match entry.event.as_ref().unwrap() {
        Event::ExecutionEnded(ended) => &ended.execution.as_ref().unwrap().execution_id,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_states_of_many_sandboxes_come_first_each_once() {
    let place = Place::new(203).await;
    let mut reader = place.reader("").await;
    place.tell("after", Uuid::new_v4()).await;
    let mut seen = std::collections::HashSet::new();
    let mut last = String::new();
    for _ in 0..203 {
        let entry = next(&mut reader).await;
        let Some(Event::SandboxChanged(changed)) = entry.event else {
            panic!("{entry:?}")
        };
        assert_eq!(changed.previous_state, 0);
        seen.insert(changed.sandbox.unwrap().sandbox_id);
        last = entry.cursor;
    }
    assert_eq!(seen.len(), 203);
    assert_eq!(execution(&next(&mut reader).await), "after");
    // The cursor of the last state stands for all of them.
    let mut resumed = place.reader(&last).await;
    assert_eq!(execution(&next(&mut resumed).await), "after");
}

#[tokio::test]
async fn who_lost_the_stream_between_the_states_hears_them_all_again() {
    let place = Place::new(3).await;
    let mut reader = place.reader("").await;
    let first = next(&mut reader).await;
    let mut resumed = place.reader(&first.cursor).await;
    for _ in 0..3 {
        let entry = next(&mut resumed).await;
        assert!(matches!(entry.event, Some(Event::SandboxChanged(_))));
    }
}

#[tokio::test]
async fn a_cursor_goes_on_and_one_too_old_is_told_so() {
    let place = Place::new(1).await;
    let (mine, other) = (Uuid::new_v4(), Uuid::new_v4());
    let mut reader = place.reader("").await;
    next(&mut reader).await;
    let mut cursors = Vec::new();
    for id in ["a", "b", "c"] {
        place.tell(id, if id == "b" { other } else { mine }).await;
        place.tell(id, mine).await;
    }
    for id in ["a", "b", "b", "c"] {
        let entry = next(&mut reader).await;
        assert_eq!(execution(&entry), id);
        cursors.push(entry.cursor);
    }
    let mut filtered = place.reader(&cursors[0]).await;
    filtered.sandbox_id = Some(mine);
    assert_eq!(execution(&next(&mut filtered).await), "b");
    assert_eq!(execution(&next(&mut filtered).await), "c");

    place.store.drop_events_before(i64::MAX, 2).await.unwrap();
    // Right behind what was removed: nothing is missing.
    let mut whole = place.reader(&cursors[1]).await;
    assert_eq!(execution(&next(&mut whole).await), "b");
    let mut holed = place.reader(&cursors[0]).await;
    let missed = next(&mut holed).await;
    assert!(matches!(missed.event, Some(Event::EventsMissed(_))));
    let state = next(&mut holed).await;
    assert!(matches!(state.event, Some(Event::SandboxChanged(_))));
    // Who was told of the hole and lost the stream begins with the states, too.
    let mut again = place.reader(&missed.cursor).await;
    let state = next(&mut again).await;
    assert!(matches!(state.event, Some(Event::SandboxChanged(_))));

    let future = Cursor {
        seq: 1000,
        whole: true,
    };
    let mut strange = place.reader(&future.seal(place.session.session_id)).await;
    let missed = next(&mut strange).await;
    assert!(matches!(missed.event, Some(Event::EventsMissed(_))));
}

#[tokio::test]
async fn nothing_comes_after_the_end_of_the_session() {
    let place = Place::new(1).await;
    let mut reader = place.reader("").await;
    next(&mut reader).await;
    let session_id = place.session.session_id;
    let event = session_deleted(session_id);
    assert!(SessionEvent::decode(event.payload.as_slice()).is_ok());
    let deleted = place.store.delete_session(session_id, 9, 9, Some(&event));
    assert!(deleted.await.unwrap());
    place.tell("late", Uuid::new_v4()).await;
    let entry = next(&mut reader).await;
    assert!(matches!(entry.event, Some(Event::SessionDeleted(_))));
    assert_eq!(reader.next().await, Ok(None));
    assert_eq!(reader.next().await, Ok(None));
}

#[tokio::test]
async fn silence_is_broken_and_what_was_not_rung_for_is_found() {
    let place = Place::new(0).await;
    let mut reader = place.reader("").await;
    for _ in 0..2 {
        reader.told -= Duration::from_secs(15);
        let alive = reader.next().await.unwrap().unwrap().event.unwrap();
        assert!(matches!(alive, watch_session_response::Event::KeepAlive(_)));
    }
    place.tell("silent", Uuid::new_v4()).await;
    assert_eq!(execution(&next(&mut reader).await), "silent");
}

#[tokio::test]
async fn a_drain_ends_it_with_a_reason() {
    let place = Place::new(0).await;
    let mut reader = place.reader("").await;
    place.drain.start();
    let problem = reader.next().await.unwrap_err();
    assert_eq!(problem.reason(), sandgate_proto::Reason::Draining);
}
