//! Sealed values in the store.

use super::*;
use crate::store::{ValueKind, ValueRecord};

fn value(kind: ValueKind, owner: &str, name: &str, content: &[u8]) -> ValueRecord {
    ValueRecord {
        value_id: Uuid::new_v4(),
        org_id: "org".into(),
        owner: owner.into(),
        kind,
        name: name.into(),
        active: true,
        sealed: content.to_vec(),
        key_id: "k1".into(),
        size: i64::try_from(content.len()).unwrap(),
        hint: "abcd".into(),
        update_time: 5,
        validate_time: Some(6),
    }
}

fn connection(name: &str, content: &[u8]) -> ValueRecord {
    value(ValueKind::Connection, "u", name, content)
}

async fn find(store: &dyn Store, name: &str) -> Option<ValueRecord> {
    let kind = ValueKind::Connection;
    store.value(kind, "org", "u", name).await.unwrap()
}

async fn names(store: &dyn Store, after: &str, limit: u32) -> Vec<String> {
    let kind = ValueKind::Connection;
    let rows = store.list_values(kind, "org", "u", after, limit);
    rows.await
        .unwrap()
        .into_iter()
        .map(|row| row.name)
        .collect()
}

/// A sandbox that was made with this value.
async fn sandbox_with(store: &dyn Store, session: &SessionRecord, value_id: Uuid) -> SandboxRecord {
    let row = SandboxRecord {
        credential_id: Some(value_id),
        ..sandbox(session, None, 1)
    };
    store.insert_sandbox(&row, None, None).await.unwrap();
    row
}

async fn delete_sandbox(store: &dyn Store, row: &SandboxRecord) {
    let gone = Changes {
        delete_time: Some(9),
        ..row.unchanged()
    };
    let changed = store.change_sandbox(row.sandbox_id, row.version, &gone, None);
    changed.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_name_has_one_value_in_use() {
    let (store, _folder) = store().await;
    let store: &dyn Store = &store;
    let (first, second) = (connection("e2b", b"1"), connection("e2b", b"22"));
    assert!(store.set_value(&first).await.unwrap());
    assert_eq!(find(store, "e2b").await, Some(first.clone()));
    assert!(store.set_value(&second).await.unwrap());
    assert_eq!(find(store, "e2b").await, Some(second.clone()));
    // Nothing was made with the first: it is gone.
    assert_eq!(store.value_version(first.value_id).await.unwrap(), None);
    let other = ValueRecord {
        owner: "v".into(),
        ..connection("e2b", b"333")
    };
    let elsewhere = ValueRecord {
        org_id: "other".into(),
        ..connection("e2b", b"4444")
    };
    store.set_value(&other).await.unwrap();
    store.set_value(&elsewhere).await.unwrap();
    assert_eq!(store.bytes_of_org("org").await.unwrap(), 0, "no secrets");
    let kind = ValueKind::Connection;
    assert!(store.delete_value(kind, "org", "u", "e2b").await.unwrap());
    assert!(!store.delete_value(kind, "org", "u", "e2b").await.unwrap());
    let secret = ValueKind::Secret;
    assert!(!store.delete_value(secret, "org", "v", "e2b").await.unwrap());
    assert_eq!(find(store, "e2b").await, None);
}

#[tokio::test]
async fn values_are_listed_bytewise_in_pages() {
    let (store, _folder) = store().await;
    let store: &dyn Store = &store;
    for name in ["b", "B", "a_", "a", "é", "a-"] {
        store.set_value(&connection(name, b"x")).await.unwrap();
    }
    assert_eq!(names(store, "", 10).await, ["B", "a", "a-", "a_", "b", "é"]);
    assert_eq!(names(store, "a", 2).await, ["a-", "a_"]);
    assert_eq!(names(store, "é", 2).await, [""; 0]);
}

#[tokio::test]
async fn a_replaced_value_is_kept_for_the_sandboxes_made_with_it() {
    let (store, _folder) = store().await;
    let store: &dyn Store = &store;
    let one = session("u", 1);
    store.insert_session(&one).await.unwrap();
    let (first, second) = (connection("e2b", b"1"), connection("e2b", b"2"));
    store.set_value(&first).await.unwrap();
    let (early, late) = (
        sandbox_with(store, &one, first.value_id).await,
        sandbox_with(store, &one, first.value_id).await,
    );
    store.set_value(&second).await.unwrap();
    let kept = store.value_version(first.value_id).await.unwrap().unwrap();
    assert_eq!((kept.active, kept.sealed.as_slice()), (false, &b"1"[..]));
    assert_eq!(names(store, "", 10).await, ["e2b"]);

    delete_sandbox(store, &early).await;
    let id = Some(first.value_id);
    assert_eq!(store.drop_unused_values(id).await.unwrap(), 0);
    delete_sandbox(store, &late).await;
    let other = Some(second.value_id);
    assert_eq!(store.drop_unused_values(other).await.unwrap(), 0);
    assert_eq!(store.drop_unused_values(None).await.unwrap(), 1);
    assert_eq!(store.drop_unused_values(id).await.unwrap(), 0);
    assert_eq!(store.value_version(first.value_id).await.unwrap(), None);
    // One that is in use stays, needed or not.
    assert_eq!(find(store, "e2b").await, Some(second.clone()));

    let last = sandbox_with(store, &one, second.value_id).await;
    let kind = ValueKind::Connection;
    assert!(store.delete_value(kind, "org", "u", "e2b").await.unwrap());
    let kept = store.value_version(second.value_id).await.unwrap();
    assert!(kept.is_some_and(|kept| !kept.active));
    delete_sandbox(store, &last).await;
    let id = Some(second.value_id);
    assert_eq!(store.drop_unused_values(id).await.unwrap(), 1);
}

#[tokio::test]
async fn secrets_go_with_their_session() {
    let (store, _folder) = store().await;
    let store: &dyn Store = &store;
    let (one, two) = (session("u", 1), session("u", 2));
    store.insert_session(&one).await.unwrap();
    store.insert_session(&two).await.unwrap();
    let secret = |session: &SessionRecord, name: &str| {
        let owner = session.session_id.to_string();
        value(ValueKind::Secret, &owner, name, b"x")
    };
    let (used, unused) = (secret(&one, "DAYTONA_API_KEY"), secret(&one, "B"));
    let others = secret(&two, "B");
    for row in [&used, &unused, &others] {
        assert!(store.set_value(row).await.unwrap());
    }
    assert!(store.bytes_of_org("org").await.unwrap() > 0);
    assert_eq!(store.bytes_of_org("nobody").await.unwrap(), 0);
    let made = sandbox_with(store, &one, used.value_id).await;
    store
        .delete_session(one.session_id, 9, 9, None)
        .await
        .unwrap();
    store
        .delete_values_of_session(one.session_id)
        .await
        .unwrap();
    let version = async |row: &ValueRecord| store.value_version(row.value_id).await.unwrap();
    assert_eq!(version(&unused).await, None);
    assert!(version(&used).await.is_some_and(|kept| !kept.active));
    assert_eq!(version(&others).await, Some(others.clone()));
    // A call that was under way adds nothing to a session that is deleted.
    assert!(!store.set_value(&secret(&one, "LATE")).await.unwrap());
    delete_sandbox(store, &made).await;
    store.drop_unused_values(Some(used.value_id)).await.unwrap();
    assert_eq!(version(&used).await, None);
    store
        .delete_values_of_session(Uuid::new_v4())
        .await
        .unwrap();
}

#[tokio::test]
async fn values_move_to_another_key_once() {
    let (store, _folder) = store().await;
    let store: &dyn Store = &store;
    let mut rows: Vec<_> = ["a", "b", "c"].map(|name| connection(name, b"old")).into();
    rows[2].key_id = "k2".into();
    for row in &rows {
        store.set_value(row).await.unwrap();
    }
    rows.pop();
    rows.sort_by_key(|row| row.value_id);
    let under = async |after, limit| store.values_not_under("k2", after, limit).await.unwrap();
    assert_eq!(under(None, 10).await, rows);
    assert_eq!(under(Some(rows[0].value_id), 10).await, rows[1..]);
    assert_eq!(under(None, 1).await, rows[..1]);

    let id = rows[0].value_id;
    let replaced = async |old: &[u8]| store.replace_sealed(id, old, b"new", "k2").await.unwrap();
    assert!(!replaced(b"other").await);
    assert!(replaced(b"old").await);
    assert!(!replaced(b"old").await);
    let moved = store.value_version(id).await.unwrap().unwrap();
    assert_eq!(
        (moved.sealed.as_slice(), moved.key_id.as_str()),
        (&b"new"[..], "k2")
    );
    assert_eq!(under(None, 10).await, rows[1..]);
}
