//! Executions that outlive their sandboxes, in the store.

use super::*;
use crate::store::{KeptPage, KeptRecord};

const MOST: u32 = 1000;

fn record(session: &SessionRecord, sandbox_id: Uuid, id: &str, time: i64) -> KeptRecord {
    KeptRecord {
        sandbox_id,
        execution_id: id.into(),
        session_id: session.session_id,
        org_id: "org".into(),
        generation: 1,
        boots: 2,
        start_time: time,
        end_time: time + 1,
        expire_time: time + 100,
        size: 3,
        key_id: "k1".into(),
        sealed: id.as_bytes().to_vec(),
    }
}

fn page(session: &SessionRecord, sandbox_id: Uuid) -> KeptPage {
    KeptPage {
        session_id: session.session_id,
        sandbox_id,
        now: 0,
        after: None,
        limit: 10,
    }
}

async fn listed(store: &dyn Store, page: &KeptPage) -> Vec<String> {
    let rows = store.list_kept(page).await.unwrap();
    rows.into_iter().map(|row| row.execution_id).collect()
}

async fn with_session(store: &dyn Store) -> (SessionRecord, Uuid) {
    let session = session("u", 1);
    store.insert_session(&session).await.unwrap();
    (session, Uuid::new_v4())
}

#[tokio::test]
async fn the_first_record_of_an_end_stays() {
    let (store, _folder) = store().await;
    let store: &dyn Store = &store;
    let (one, sandbox_id) = with_session(store).await;
    let first = record(&one, sandbox_id, "e", 10);
    let later = KeptRecord {
        sealed: b"later".to_vec(),
        ..first.clone()
    };
    for records in [vec![first.clone()], vec![later], vec![]] {
        store.keep_executions(&records, MOST).await.unwrap();
    }
    let find = |session_id, sandbox_id, now| store.kept_execution(session_id, sandbox_id, "e", now);
    let found = find(one.session_id, sandbox_id, 109).await.unwrap();
    assert_eq!(found, Some(first));
    for (session_id, sandbox_id, now) in [
        (one.session_id, sandbox_id, 110),
        (Uuid::new_v4(), sandbox_id, 0),
        (one.session_id, Uuid::new_v4(), 0),
    ] {
        let found = find(session_id, sandbox_id, now).await.unwrap();
        assert_eq!(found, None);
    }
    let ids = store.kept_ids(sandbox_id).await.unwrap();
    assert_eq!(ids, ["e".to_owned()].into());
}

#[tokio::test]
async fn they_are_listed_by_their_beginning_in_pages() {
    let (store, _folder) = store().await;
    let store: &dyn Store = &store;
    let (one, sandbox_id) = with_session(store).await;
    let mut records: Vec<_> = [("a", 10), ("b", 10), ("c", 5), ("d", 20)]
        .map(|(id, time)| record(&one, sandbox_id, id, time))
        .into();
    // Ran long.
    records[2].end_time = 50;
    store.keep_executions(&records, MOST).await.unwrap();
    let all = page(&one, sandbox_id);
    assert_eq!(listed(store, &all).await, ["d", "b", "a", "c"]);
    let mut next = KeptPage {
        limit: 2,
        ..all.clone()
    };
    assert_eq!(listed(store, &next).await, ["d", "b"]);
    next.after = Some(PageKey {
        time: 10,
        id: "b".into(),
    });
    assert_eq!(listed(store, &next).await, ["a", "c"]);
    let alive = KeptPage { now: 105, ..all };
    assert_eq!(listed(store, &alive).await, ["d", "b", "a"]);
    let foreign = KeptPage {
        session_id: Uuid::new_v4(),
        ..alive
    };
    assert_eq!(listed(store, &foreign).await, [""; 0]);
}

#[tokio::test]
async fn of_a_sandbox_those_that_ended_last_are_kept() {
    let (store, _folder) = store().await;
    let store: &dyn Store = &store;
    let (one, sandbox_id) = with_session(store).await;
    let other = Uuid::new_v4();
    let elsewhere = record(&one, other, "x", 1);
    store.keep_executions(&[elsewhere], 2).await.unwrap();
    let mut records: Vec<_> = [("a", 10), ("b", 20), ("c", 30)]
        .map(|(id, time)| record(&one, sandbox_id, id, time))
        .into();
    records[0].end_time = 100;
    store.keep_executions(&records[..2], 2).await.unwrap();
    store.keep_executions(&records[2..], 2).await.unwrap();
    let all = page(&one, sandbox_id);
    assert_eq!(listed(store, &all).await, ["c", "a"]);
    assert_eq!(listed(store, &page(&one, other)).await, ["x"]);
}

#[tokio::test]
async fn they_go_with_their_session_and_with_time() {
    let (store, _folder) = store().await;
    let store: &dyn Store = &store;
    let (one, sandbox_id) = with_session(store).await;
    let (two, _) = with_session(store).await;
    let other = Uuid::new_v4();
    let records: Vec<_> = (0..5)
        .map(|at| record(&one, sandbox_id, &format!("e{at}"), at))
        .collect();
    store.keep_executions(&records, MOST).await.unwrap();
    let of_two = record(&two, other, "e", 50);
    store.keep_executions(&[of_two], MOST).await.unwrap();
    assert_eq!(store.drop_kept_before(103, 2).await.unwrap(), 2);
    assert_eq!(store.drop_kept_before(103, 2).await.unwrap(), 1);
    assert_eq!(store.drop_kept_before(103, 2).await.unwrap(), 0);
    assert_eq!(listed(store, &page(&one, sandbox_id)).await, ["e4", "e3"]);
    store.drop_kept_of_session(one.session_id).await.unwrap();
    assert!(listed(store, &page(&one, sandbox_id)).await.is_empty());
    assert_eq!(listed(store, &page(&two, other)).await, ["e"]);

    let deleted = store.delete_session(one.session_id, 5, 5, None).await;
    assert!(deleted.unwrap());
    store.keep_executions(&records, MOST).await.unwrap();
    assert!(store.kept_ids(sandbox_id).await.unwrap().is_empty());
}

#[tokio::test]
async fn they_move_to_another_key_once() {
    let (store, _folder) = store().await;
    let store: &dyn Store = &store;
    let (one, sandbox_id) = with_session(store).await;
    let records = ["a", "b", "c"].map(|id| record(&one, sandbox_id, id, 10));
    store.keep_executions(&records, MOST).await.unwrap();
    let none = (Uuid::nil(), "");
    let first = store.kept_not_under("k2", none, 2).await.unwrap();
    assert_eq!(first, records[..2]);
    let rest = store.kept_not_under("k2", (sandbox_id, "b"), 2).await;
    assert_eq!(rest.unwrap(), records[2..]);
    assert!(store.reseal_kept(&records[0], b"new", "k2").await.unwrap());
    assert!(
        !store
            .reseal_kept(&records[0], b"newer", "k2")
            .await
            .unwrap()
    );
    let left = store.kept_not_under("k2", none, 10).await.unwrap();
    assert_eq!(left, records[1..]);
    assert!(store.kept_not_under("k1", none, 10).await.unwrap().len() == 1);
}
