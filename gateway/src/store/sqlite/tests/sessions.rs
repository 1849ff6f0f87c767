//! Sessions that change, expire, and are cleaned up after.

use super::{sandbox, session, sessions_of, store};
use crate::store::{
    Changes, InsertOutcome, NewEvent, SandboxInsert, SessionChanges, SessionFilter, SessionRecord,
    Store,
};
use uuid::Uuid;

async fn with(store: &dyn Store, expire_time: Option<i64>) -> SessionRecord {
    let one = SessionRecord {
        expire_time,
        ..session("u", 1)
    };
    let inserted = store.insert_session(&one).await.unwrap();
    assert_eq!(inserted, InsertOutcome::Inserted);
    one
}

fn event(session_id: Uuid) -> NewEvent {
    NewEvent {
        session_id,
        sandbox_id: None,
        time: 7,
        once: None,
        payload: vec![7],
    }
}

async fn due(store: &dyn Store, now: i64) -> Vec<Uuid> {
    let rows = store.sessions_to_clean(now, 10).await.unwrap();
    rows.into_iter().map(|row| row.session_id).collect()
}

#[tokio::test]
async fn of_two_changes_of_a_session_one_wins() {
    let (store, _folder) = store().await;
    let store: &dyn Store = &store;
    let one = with(store, Some(50)).await;
    let id = one.session_id;
    assert_eq!(store.session(id).await.unwrap(), Some(one.clone()));
    let changes = SessionChanges {
        definition: vec![9],
        labels: Default::default(),
        expire_time: None,
        update_time: 5,
    };
    let changed = store.change_session(id, 1, &changes).await.unwrap();
    let wanted = SessionRecord {
        definition: vec![9],
        labels: Default::default(),
        expire_time: None,
        version: 2,
        update_time: 5,
        ..one
    };
    assert_eq!(changed, Some(wanted));
    assert_eq!(store.change_session(id, 1, &changes).await.unwrap(), None);
    assert!(store.delete_session(id, 9, 9, None).await.unwrap());
    assert_eq!(store.change_session(id, 3, &changes).await.unwrap(), None);
}

#[tokio::test]
async fn the_same_session_is_found_before_it_is_made_again() {
    let (store, _folder) = store().await;
    let store: &dyn Store = &store;
    let mut one = session("u", 1);
    one.request_id = Some(Uuid::new_v4());
    assert_eq!(store.same_session(&one).await.unwrap(), None);
    store.insert_session(&one).await.unwrap();
    let same = InsertOutcome::SameRequest(one.clone());
    assert_eq!(store.same_session(&one).await.unwrap(), Some(same));
    store
        .delete_session(one.session_id, 7, 8, None)
        .await
        .unwrap();
    let mut other = session("v", 2);
    other.session_id = one.session_id;
    let Some(InsertOutcome::SameId(there)) = store.same_session(&other).await.unwrap() else {
        panic!("a deleted session keeps its id");
    };
    assert_eq!((there.delete_time, there.cleanup_time), (Some(7), Some(8)));
}

#[tokio::test]
async fn what_has_expired_is_listed_no_more_and_then_deleted() {
    let (store, _folder) = store().await;
    let store: &dyn Store = &store;
    let (never, soon) = (with(store, None).await, with(store, Some(50)).await);
    let listed = |now| SessionFilter {
        now,
        ..sessions_of("u")
    };
    assert_eq!(store.list_sessions(&listed(49)).await.unwrap().len(), 2);
    let left = store.list_sessions(&listed(50)).await.unwrap();
    assert_eq!(left, std::slice::from_ref(&never));
    assert!(
        store
            .expire_sessions(49, 10, event)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(due(store, 99).await.is_empty());
    let expired = store.expire_sessions(50, 10, event).await.unwrap();
    assert_eq!(expired, [soon.session_id]);
    let told = store.events_after(soon.session_id, 0, 10).await.unwrap();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].payload, [7]);
    assert!(
        store
            .expire_sessions(50, 10, event)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(store.session(soon.session_id).await.unwrap(), None);
    assert!(store.session(never.session_id).await.unwrap().is_some());
    assert_eq!(due(store, 50).await, [soon.session_id]);
    assert!(
        !store
            .delete_session(soon.session_id, 60, 60, None)
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn only_so_many_expire_at_once_the_oldest_first() {
    let (store, _folder) = store().await;
    let store: &dyn Store = &store;
    let (late, early) = (with(store, Some(20)).await, with(store, Some(10)).await);
    let first = store.expire_sessions(30, 1, event).await.unwrap();
    assert_eq!(first, [early.session_id]);
    let second = store.expire_sessions(30, 1, event).await.unwrap();
    assert_eq!(second, [late.session_id]);
}

#[tokio::test]
async fn a_clean_up_is_claimed_by_one() {
    let (store, _folder) = store().await;
    let store: &dyn Store = &store;
    let id = with(store, None).await.session_id;
    assert!(store.delete_session(id, 10, 15, None).await.unwrap());
    assert!(due(store, 14).await.is_empty());
    assert_eq!(due(store, 15).await, [id]);
    let claims = [100, 101].map(|until| store.claim_cleanup(id, 15, until));
    let won = futures::future::join_all(claims).await;
    assert_eq!(won.iter().filter(|won| matches!(won, Ok(true))).count(), 1);
    assert!(due(store, 99).await.is_empty());

    let claimed = store.sessions_to_clean(200, 1).await.unwrap()[0].clone();
    let seen = claimed.cleanup_time.unwrap();
    assert!(!store.postpone_cleanup(id, 15, 300).await.unwrap());
    assert!(store.postpone_cleanup(id, seen, 300).await.unwrap());
    let later = store.sessions_to_clean(300, 1).await.unwrap();
    assert_eq!(
        (later[0].cleanup_time, later[0].cleanup_tries),
        (Some(300), 1)
    );
    assert!(!store.end_cleanup(id, seen).await.unwrap());
    assert!(store.end_cleanup(id, 300).await.unwrap());
    assert!(due(store, i64::MAX).await.is_empty());
}

#[tokio::test]
async fn a_clean_up_does_not_end_while_a_sandbox_is_left() {
    let (store, _folder) = store().await;
    let store: &dyn Store = &store;
    let one = with(store, None).await;
    let (id, row) = (one.session_id, sandbox(&one, Some("default"), 1));
    store.insert_sandbox(&row, None, None).await.unwrap();
    let other = with(store, None).await;
    let both = [id, other.session_id];
    let found = store.sandboxes_by_alias(&both, "default").await;
    assert_eq!(found.unwrap(), [(id, row.sandbox_id)].into());
    let none = store.sandboxes_by_alias(&[id], "another").await.unwrap();
    assert!(none.is_empty());

    assert!(store.delete_session(id, 10, 10, None).await.unwrap());
    let late = store
        .insert_sandbox(&sandbox(&one, None, 2), None, None)
        .await
        .unwrap();
    assert_eq!(late, SandboxInsert::Done(InsertOutcome::NoSession));
    assert!(!store.end_cleanup(id, 10).await.unwrap());
    let gone = Changes {
        delete_time: Some(11),
        ..row.unchanged()
    };
    let gone = store.change_sandbox(row.sandbox_id, 1, &gone, None).await;
    assert!(gone.unwrap().is_some());
    let none = store.sandboxes_by_alias(&[id], "default").await.unwrap();
    assert!(none.is_empty());
    assert!(store.end_cleanup(id, 10).await.unwrap());
}
