//! The events of sessions in the store.

use uuid::Uuid;

use super::{sandbox, session, store};
use crate::store::{Changes, EventStore as _, NewEvent, Store};

fn event(session_id: Uuid, payload: u8) -> NewEvent {
    NewEvent {
        session_id,
        sandbox_id: Some(Uuid::new_v4()),
        time: i64::from(payload),
        once: None,
        payload: vec![payload],
    }
}

async fn payloads(store: &dyn Store, session_id: Uuid) -> Vec<u8> {
    let found = store.events_after(session_id, 0, 100).await.unwrap();
    found.iter().map(|event| event.payload[0]).collect()
}

#[tokio::test]
async fn events_are_read_in_order_after_a_place() {
    let (store, _folder) = store().await;
    let store: &dyn Store = &store;
    let (one, two) = (Uuid::new_v4(), Uuid::new_v4());
    assert_eq!(store.last_event_seq().await.unwrap(), 0);
    assert_eq!(store.first_event_seq().await.unwrap(), 1);
    for payload in 1..=4 {
        let of_one = event(one, payload);
        assert_eq!(
            store
                .append_events(std::slice::from_ref(&of_one))
                .await
                .unwrap(),
            1
        );
        store.append_events(&[event(two, payload)]).await.unwrap();
        let found = store.events_after(one, 0, 10).await.unwrap();
        assert_eq!(found.last().unwrap().sandbox_id, of_one.sandbox_id);
    }
    let first = store.events_after(one, 0, 3).await.unwrap();
    assert_eq!(first.len(), 3);
    let rest = store.events_after(one, first[2].seq, 3).await.unwrap();
    assert_eq!(rest.len(), 1);
    assert_eq!(rest[0].payload, [4]);
    let all = store.sessions_after(rest[0].seq - 1, 10).await.unwrap();
    assert_eq!(
        all.iter().map(|(_, id)| *id).collect::<Vec<_>>(),
        [one, two]
    );
    assert_eq!(store.last_event_seq().await.unwrap(), all[1].0);
}

#[tokio::test]
async fn what_is_told_once_is_told_once_in_a_session() {
    let (store, _folder) = store().await;
    let store: &dyn Store = &store;
    let (one, two) = (Uuid::new_v4(), Uuid::new_v4());
    let once = |session_id, payload| NewEvent {
        once: Some("execution/x".into()),
        sandbox_id: None,
        ..event(session_id, payload)
    };
    assert_eq!(store.append_events(&[once(one, 1)]).await.unwrap(), 1);
    assert_eq!(store.append_events(&[once(one, 2)]).await.unwrap(), 0);
    assert_eq!(store.append_events(&[once(two, 3)]).await.unwrap(), 1);
    assert_eq!(payloads(store, one).await, [1]);
}

#[tokio::test]
async fn old_events_go_and_their_places_are_not_used_again() {
    let (store, _folder) = store().await;
    let store: &dyn Store = &store;
    let one = Uuid::new_v4();
    for payload in 1..=5 {
        store.append_events(&[event(one, payload)]).await.unwrap();
    }
    assert_eq!(store.drop_events_before(4, 2).await.unwrap(), 2);
    assert_eq!(store.drop_events_before(4, 2).await.unwrap(), 1);
    assert_eq!(payloads(store, one).await, [4, 5]);
    assert_eq!(store.first_event_seq().await.unwrap(), 4);
    assert_eq!(store.drop_events_before(9, 9).await.unwrap(), 2);
    assert_eq!(store.first_event_seq().await.unwrap(), 6);
    assert_eq!(store.last_event_seq().await.unwrap(), 5);
}

#[tokio::test]
async fn an_event_is_written_with_its_change_or_not_at_all() {
    let (store, _folder) = store().await;
    let one = session("u", 1);
    store.insert_session(&one).await.unwrap();
    let mut heard = store.hear();
    let row = sandbox(&one, Some("a"), 1);
    let tell = |payload| event(one.session_id, payload);
    store
        .insert_sandbox(&row, None, Some(&tell(1)))
        .await
        .unwrap();
    store
        .insert_sandbox(&row, None, Some(&tell(2)))
        .await
        .unwrap();
    let changes = Changes {
        state: 2,
        ..row.unchanged()
    };
    for payload in [3, 4] {
        let event = tell(payload);
        let changed = store.change_sandbox(row.sandbox_id, 1, &changes, Some(&event));
        let changed = changed.await.unwrap();
        assert_eq!(changed, (payload == 3).then(|| row.changed(&changes)));
    }
    for (version, payload) in [(1, 5), (2, 6), (2, 7)] {
        let event = tell(payload);
        let forgotten = store.forget_sandbox(row.sandbox_id, version, &changes, Some(&event));
        assert_eq!(forgotten.await.unwrap(), payload == 6);
    }
    for payload in [8, 9] {
        let event = tell(payload);
        let deleted = store.delete_session(one.session_id, 5, 5, Some(&event));
        assert_eq!(deleted.await.unwrap(), payload == 8);
    }
    assert_eq!(payloads(&store, one.session_id).await, [1, 3, 6, 8]);
    for _ in 0..4 {
        assert_eq!(heard.try_recv().unwrap(), one.session_id);
    }
    assert!(heard.try_recv().is_err(), "what was not done is not told");
}
