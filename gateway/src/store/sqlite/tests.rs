//! The store, on a file of its own for each test.

mod agents;
mod audit;
mod events;
mod faults;
mod files;
mod kept;
mod sessions;
mod transfers;

use std::collections::BTreeMap;

use tempfile::TempDir;

use super::*;
use crate::{principal::Owner, store::PageKey};

async fn store() -> (SqliteStore, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("new/sandgate.db"))
        .await
        .unwrap();
    (store, folder)
}

fn session(user: &str, time: i64) -> SessionRecord {
    SessionRecord {
        fingerprint: vec![1],
        definition: vec![2],
        agent_id: "agent".into(),
        labels: [("team".to_owned(), "a'b\"c".to_owned())].into(),
        ..SessionRecord::new(Uuid::new_v4(), "org".into(), user.into(), time)
    }
}

fn sandbox(session: &SessionRecord, alias: Option<&str>, time: i64) -> SandboxRecord {
    SandboxRecord {
        alias: alias.map(str::to_owned),
        fingerprint: vec![1],
        provider_state: vec![0, 255],
        state_key_id: "k".into(),
        ..SandboxRecord::new(Uuid::new_v4(), session, "local".into(), vec![3], time)
    }
}

fn sessions_of(user: &str) -> SessionFilter {
    SessionFilter {
        owner: Owner {
            org_id: "org".into(),
            user_id: user.into(),
        },
        now: 0,
        agent_id: String::new(),
        harness_id: String::new(),
        labels: BTreeMap::new(),
        after: None,
        limit: 10,
    }
}

fn sandboxes_of(user: &str) -> SandboxFilter {
    SandboxFilter {
        owner: Owner {
            org_id: "org".into(),
            user_id: user.into(),
        },
        session_id: None,
        provider: String::new(),
        states: Vec::new(),
        labels: BTreeMap::new(),
        after: None,
        limit: 10,
    }
}

#[tokio::test]
async fn what_was_written_is_there_after_a_restart() {
    let (store, folder) = store().await;
    let one = session("u", 1);
    let row = sandbox(&one, Some("default"), 2);
    let id = store.gateway_id().await.unwrap();
    assert_eq!(
        store.insert_session(&one).await.unwrap(),
        InsertOutcome::Inserted
    );
    assert_eq!(
        store.insert_sandbox(&row, None, None).await.unwrap(),
        SandboxInsert::Done(InsertOutcome::Inserted)
    );
    drop(store);
    let store = SqliteStore::open(&folder.path().join("new/sandgate.db"))
        .await
        .unwrap();
    assert_eq!(store.gateway_id().await.unwrap(), id);
    assert_eq!(
        store.session(one.session_id).await.unwrap(),
        Some(one.clone())
    );
    assert_eq!(
        store.sandbox(row.sandbox_id).await.unwrap(),
        Some(row.clone())
    );
    let found = store
        .sandbox_by_alias(one.session_id, "default")
        .await
        .unwrap();
    assert_eq!(found, Some(row));
}

#[tokio::test]
async fn ids_requests_and_aliases_are_taken_once() {
    let (store, _folder) = store().await;
    let mut one = session("u", 1);
    one.request_id = Some(Uuid::new_v4());
    store.insert_session(&one).await.unwrap();
    let mut other = session("u", 2);
    other.request_id = one.request_id;
    assert_eq!(
        store.insert_session(&other).await.unwrap(),
        InsertOutcome::SameRequest(one.clone())
    );
    other.user_id = "v".into();
    assert_eq!(
        store.insert_session(&other).await.unwrap(),
        InsertOutcome::Inserted
    );
    let mut third = session("w", 3);
    third.session_id = one.session_id;
    assert_eq!(
        store.insert_session(&third).await.unwrap(),
        InsertOutcome::SameId(one.clone())
    );

    let mut first = sandbox(&one, Some("a"), 1);
    first.request_id = Some(Uuid::new_v4());
    store.insert_sandbox(&first, None, None).await.unwrap();
    let mut second = sandbox(&one, Some("a"), 2);
    assert_eq!(
        store.insert_sandbox(&second, None, None).await.unwrap(),
        SandboxInsert::Done(InsertOutcome::SameAlias(first.clone()))
    );
    second.request_id = first.request_id;
    assert_eq!(
        store.insert_sandbox(&second, None, None).await.unwrap(),
        SandboxInsert::Done(InsertOutcome::SameRequest(first.clone()))
    );
    let gone = Changes {
        delete_time: Some(9),
        ..first.unchanged()
    };
    store
        .change_sandbox(first.sandbox_id, 1, &gone, None)
        .await
        .unwrap()
        .unwrap();
    second.request_id = None;
    assert_eq!(
        store.insert_sandbox(&second, None, None).await.unwrap(),
        SandboxInsert::Done(InsertOutcome::Inserted)
    );
}

#[tokio::test]
async fn of_two_changes_one_wins() {
    let (store, _folder) = store().await;
    let one = session("u", 1);
    store.insert_session(&one).await.unwrap();
    let row = sandbox(&one, None, 1);
    store.insert_sandbox(&row, None, None).await.unwrap();
    let changes = Changes {
        state: 2,
        instance_id: "i".into(),
        ..row.unchanged()
    };
    let changed = store
        .change_sandbox(row.sandbox_id, 1, &changes, None)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (changed.state, changed.version, changed.instance_id.as_str()),
        (2, 2, "i")
    );
    assert_eq!(
        store
            .change_sandbox(row.sandbox_id, 1, &changes, None)
            .await
            .unwrap(),
        None
    );
    let gone = Changes {
        delete_time: Some(9),
        ..changed.unchanged()
    };
    for (version, done) in [(1, false), (2, true)] {
        let forgotten = store.forget_sandbox(row.sandbox_id, version, &gone, None);
        assert_eq!(forgotten.await.unwrap(), done);
    }
    let left = store.sandbox(row.sandbox_id).await.unwrap().unwrap();
    assert_eq!((left.delete_time, left.fingerprint.len()), (Some(9), 0));
    // Its id is free for the same session.
    let again = store.insert_sandbox(&row, None, None).await.unwrap();
    assert_eq!(again, SandboxInsert::Done(InsertOutcome::Inserted));
}

#[tokio::test]
async fn lists_are_paged_newest_first_and_filtered() {
    let (store, _folder) = store().await;
    let mut all = Vec::new();
    for time in [5, 5, 7, 1] {
        let one = session("u", time);
        store.insert_session(&one).await.unwrap();
        all.push(one);
    }
    store.insert_session(&session("stranger", 9)).await.unwrap();
    all.sort_by_key(|row| std::cmp::Reverse((row.create_time, row.session_id)));
    assert_eq!(store.list_sessions(&sessions_of("u")).await.unwrap(), all);
    let after = Some(PageKey {
        time: all[1].create_time,
        id: all[1].session_id.to_string(),
    });
    let page = SessionFilter {
        after,
        limit: 1,
        ..sessions_of("u")
    };
    assert_eq!(store.list_sessions(&page).await.unwrap(), all[2..3]);
    let labelled = |value: &str| SessionFilter {
        labels: [("team".to_owned(), value.to_owned())].into(),
        ..sessions_of("u")
    };
    assert_eq!(
        store
            .list_sessions(&labelled("a'b\"c"))
            .await
            .unwrap()
            .len(),
        4
    );
    assert_eq!(store.list_sessions(&labelled("b")).await.unwrap().len(), 0);
    assert!(
        store
            .delete_session(all[0].session_id, 9, 9, None)
            .await
            .unwrap()
    );
    assert!(
        !store
            .delete_session(all[0].session_id, 9, 9, None)
            .await
            .unwrap()
    );
    assert_eq!(store.session(all[0].session_id).await.unwrap(), None);
    assert_eq!(
        store.list_sessions(&sessions_of("u")).await.unwrap(),
        all[1..]
    );
}

#[tokio::test]
async fn tombstones_are_listed_only_if_asked_for() {
    let (store, _folder) = store().await;
    let one = session("u", 1);
    store.insert_session(&one).await.unwrap();
    let (living, gone) = (sandbox(&one, None, 1), sandbox(&one, None, 2));
    store.insert_sandbox(&living, None, None).await.unwrap();
    store.insert_sandbox(&gone, None, None).await.unwrap();
    let deleted = Changes {
        state: 9,
        delete_time: Some(3),
        ..gone.unchanged()
    };
    let gone = store
        .change_sandbox(gone.sandbox_id, 1, &deleted, None)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        store.list_sandboxes(&sandboxes_of("u")).await.unwrap(),
        vec![living.clone()]
    );
    let dead = SandboxFilter {
        states: vec![9],
        ..sandboxes_of("u")
    };
    assert_eq!(store.list_sandboxes(&dead).await.unwrap(), [gone]);
    let other = SandboxFilter {
        provider: "container".into(),
        ..sandboxes_of("u")
    };
    assert_eq!(store.list_sandboxes(&other).await.unwrap(), []);
    assert_eq!(
        store
            .list_sandboxes(&sandboxes_of("stranger"))
            .await
            .unwrap(),
        []
    );
    let here = SandboxFilter {
        session_id: Some(one.session_id),
        ..sandboxes_of("u")
    };
    assert_eq!(store.list_sandboxes(&here).await.unwrap(), [living]);
}

#[tokio::test]
async fn concurrent_writers_wait_for_each_other() {
    let (first, folder) = store().await;
    let second = SqliteStore::open(&folder.path().join("new/sandgate.db"))
        .await
        .unwrap();
    let one = session("u", 1);
    first.insert_session(&one).await.unwrap();
    let writes = (0..40).map(|turn| {
        let (store, row) = (
            if turn % 2 == 0 { &first } else { &second },
            sandbox(&one, Some("a"), turn),
        );
        async move { store.insert_sandbox(&row, None, None).await.unwrap() }
    });
    let outcomes = futures::future::join_all(writes).await;
    let inserted = outcomes
        .iter()
        .filter(|outcome| **outcome == SandboxInsert::Done(InsertOutcome::Inserted))
        .count();
    assert_eq!(inserted, 1);
}

mod keys;
mod values;

#[tokio::test]
async fn only_its_owner_can_read_it() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sandgate.db");
    let store = SqliteStore::open(&path).await.unwrap();
    store.gateway_id().await.unwrap();
    let files = std::fs::read_dir(folder.path()).unwrap();
    let modes: Vec<_> = files
        .map(|file| file.unwrap().metadata().unwrap().permissions().mode() & 0o777)
        .collect();
    assert!(
        modes.len() > 1 && modes.iter().all(|mode| *mode == 0o600),
        "{modes:?}"
    );
}
