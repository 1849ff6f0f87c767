//! API keys, against any store.

use uuid::Uuid;

use super::store;
use crate::store::{InsertOutcome, KeyFilter, KeyRecord, PageKey, Store};

fn key(id: &str, user: &str, time: i64) -> KeyRecord {
    KeyRecord {
        api_key_id: id.to_owned(),
        title: "a title".to_owned(),
        org_id: "org".to_owned(),
        user_id: user.to_owned(),
        scopes: vec!["act_as".to_owned(), "files.read".to_owned()],
        secret_digest: vec![0, 255],
        issuer: "admin".to_owned(),
        request_id: None,
        fingerprint: vec![1],
        create_time: time,
        expire_time: None,
        revoke_time: None,
        last_use_time: None,
    }
}

fn all() -> KeyFilter {
    KeyFilter {
        org_id: String::new(),
        user_id: String::new(),
        include_inactive: false,
        now: 100,
        after: None,
        limit: 10,
    }
}

async fn listed(store: &dyn Store, filter: KeyFilter) -> Vec<String> {
    let keys = store.list_keys(&filter).await.unwrap();
    keys.into_iter().map(|key| key.api_key_id).collect()
}

async fn add(store: &dyn Store, key: &KeyRecord) {
    assert_eq!(
        store.insert_key(key).await.unwrap(),
        InsertOutcome::Inserted
    );
}

#[tokio::test]
async fn one_request_makes_one_key() {
    let (store, _folder) = store().await;
    let store: &dyn Store = &store;
    let first = KeyRecord {
        request_id: Some(Uuid::new_v4()),
        expire_time: Some(7),
        last_use_time: Some(3),
        ..key("1", "u", 1)
    };
    add(store, &first).await;
    assert_eq!(store.key("1").await.unwrap().as_ref(), Some(&first));
    assert_eq!(store.key("2").await.unwrap(), None);
    let again = KeyRecord {
        request_id: first.request_id,
        ..key("2", "u", 2)
    };
    assert_eq!(
        store.insert_key(&again).await.unwrap(),
        InsertOutcome::SameRequest(first)
    );
    let of_another = KeyRecord {
        issuer: "other".to_owned(),
        ..again
    };
    add(store, &of_another).await;
    add(store, &key("3", "u", 3)).await;
    add(store, &key("4", "u", 3)).await;
    assert!(store.insert_key(&key("4", "u", 4)).await.is_err());
}

#[tokio::test]
async fn a_revocation_is_for_good_and_others_learn_of_it() {
    let (store, _folder) = store().await;
    let store: &dyn Store = &store;
    add(store, &key("1", "u", 1)).await;
    add(store, &key("2", "u", 1)).await;
    assert_eq!(store.revoke_key("no", 5).await.unwrap(), None);
    for now in [5, 6] {
        let revoked = store.revoke_key("1", now).await.unwrap().unwrap();
        assert_eq!(revoked.revoke_time, Some(5));
    }
    assert_eq!(store.revoked_since(5).await.unwrap(), ["1"]);
    assert!(store.revoked_since(6).await.unwrap().is_empty());
}

#[tokio::test]
async fn lists_are_filtered_and_newest_first() {
    let (store, _folder) = store().await;
    let store: &dyn Store = &store;
    add(store, &key("1", "ann", 1)).await;
    add(store, &key("2", "bob", 2)).await;
    add(store, &key("3", "ann", 2)).await;
    let expires = KeyRecord {
        expire_time: Some(100),
        ..key("4", "ann", 4)
    };
    add(store, &expires).await;
    add(store, &key("5", "ann", 5)).await;
    store.revoke_key("5", 6).await.unwrap();

    assert_eq!(listed(store, all()).await, ["3", "2", "1"]);
    let before = KeyFilter { now: 99, ..all() };
    assert_eq!(listed(store, before).await, ["4", "3", "2", "1"]);
    let everything = KeyFilter {
        include_inactive: true,
        ..all()
    };
    assert_eq!(listed(store, everything).await, ["5", "4", "3", "2", "1"]);
    let of_ann = KeyFilter {
        org_id: "org".to_owned(),
        user_id: "ann".to_owned(),
        ..all()
    };
    assert_eq!(listed(store, of_ann).await, ["3", "1"]);
    let of_nobody = KeyFilter {
        org_id: "another".to_owned(),
        ..all()
    };
    assert!(listed(store, of_nobody).await.is_empty());
    let page = KeyFilter {
        after: Some(PageKey {
            time: 2,
            id: "3".to_owned(),
        }),
        limit: 1,
        ..all()
    };
    assert_eq!(listed(store, page).await, ["2"]);
}

#[tokio::test]
async fn the_last_use_only_moves_forward() {
    let (store, _folder) = store().await;
    let store: &dyn Store = &store;
    add(store, &key("1", "u", 1)).await;
    add(store, &key("2", "u", 1)).await;
    let use_of = |id: &str, time| (id.to_owned(), time);
    store
        .touch_keys(&[use_of("1", 9), use_of("2", 8), use_of("no", 7)])
        .await
        .unwrap();
    store.touch_keys(&[use_of("1", 4)]).await.unwrap();
    for (id, time) in [("1", 9), ("2", 8)] {
        let key = store.key(id).await.unwrap().unwrap();
        assert_eq!(key.last_use_time, Some(time));
    }
}
