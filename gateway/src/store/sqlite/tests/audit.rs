//! The audit log in the store.

use uuid::Uuid;

use super::store;
use crate::store::{AuditFilter, AuditRecord, Store};

fn event(user: &str, session_id: Uuid, time: i64) -> AuditRecord {
    AuditRecord {
        event_id: Uuid::new_v4().to_string(),
        time,
        org_id: "org".into(),
        user_id: user.into(),
        session_id: session_id.to_string(),
        principal: "key:k".into(),
        method: "sandbox.v1.SandboxService/Exec".into(),
        target: "it's \"quoted\" \u{1F980}".into(),
        code: "OK".into(),
        duration: 1_500_000,
        details: [("a".to_owned(), "{\"b\":[1]}".to_owned())].into(),
        ..AuditRecord::default()
    }
}

async fn list(store: &dyn Store, filter: AuditFilter) -> Vec<i64> {
    let filter = AuditFilter {
        limit: 10,
        ..filter
    };
    let found = store.list_audit(&filter).await.unwrap();
    found.iter().map(|event| event.time).collect()
}

fn of(user: &str) -> AuditFilter {
    AuditFilter {
        org_id: Some("org".into()),
        user_id: Some(user.into()),
        ..AuditFilter::default()
    }
}

#[tokio::test]
async fn events_come_back_as_they_were_newest_first() {
    let (store, _folder) = store().await;
    let store: &dyn Store = &store;
    let session_id = Uuid::new_v4();
    let mut events = vec![event("u", session_id, 1), event("u", session_id, 2)];
    store.append_audit(&events).await.unwrap();
    store.append_audit(&[]).await.unwrap();
    let filter = AuditFilter {
        limit: 10,
        ..AuditFilter::default()
    };
    let found = store.list_audit(&filter).await.unwrap();
    assert!(found[0].seq > found[1].seq);
    events.reverse();
    for (event, found) in events.iter_mut().zip(&found) {
        event.seq = found.seq;
    }
    assert_eq!(found, events);
}

#[tokio::test]
async fn filters_add_up() {
    let (store, _folder) = store().await;
    let store: &dyn Store = &store;
    let (one, two) = (Uuid::new_v4(), Uuid::new_v4());
    let sandbox_id = Uuid::new_v4();
    let mut events = vec![event("u", one, 1), event("u", two, 2), event("v", one, 3)];
    events[1].sandbox_id = sandbox_id.to_string();
    events[1].code = "NOT_FOUND".into();
    events[2].method = "system/x".into();
    let mut unowned = event("", one, 4);
    unowned.session_id.clear();
    unowned.org_id.clear();
    events.push(unowned);
    store.append_audit(&events).await.unwrap();

    assert_eq!(list(store, AuditFilter::default()).await, [4, 3, 2, 1]);
    assert_eq!(list(store, of("u")).await, [2, 1]);
    let org = AuditFilter {
        user_id: None,
        ..of("")
    };
    assert_eq!(list(store, org).await, [3, 2, 1]);
    // An owner without a name is nobody in particular, and not everybody.
    let nobody = AuditFilter {
        org_id: Some(String::new()),
        ..of("")
    };
    assert_eq!(list(store, nobody).await, [4]);
    let session = |filter| AuditFilter {
        session_id: Some(one),
        ..filter
    };
    assert_eq!(list(store, session(AuditFilter::default())).await, [3, 1]);
    assert_eq!(list(store, session(of("u"))).await, [1]);
    assert_eq!(list(store, session(of("stranger"))).await, [0; 0]);
    let sandbox = AuditFilter {
        sandbox_id: Some(sandbox_id),
        code: "NOT_FOUND".into(),
        ..of("u")
    };
    assert_eq!(list(store, sandbox).await, [2]);
    let method = AuditFilter {
        method: "system/x".into(),
        ..AuditFilter::default()
    };
    assert_eq!(list(store, method).await, [3]);
    let time = AuditFilter {
        start_time: Some(2),
        end_time: Some(4),
        ..AuditFilter::default()
    };
    assert_eq!(list(store, time).await, [3, 2]);
}

#[tokio::test]
async fn pages_go_on_before_an_event() {
    let (store, _folder) = store().await;
    let store: &dyn Store = &store;
    let events: Vec<_> = (0..7)
        .map(|time| event("u", Uuid::new_v4(), time))
        .collect();
    store.append_audit(&events).await.unwrap();
    let mut filter = AuditFilter {
        limit: 3,
        ..of("u")
    };
    let mut times = Vec::new();
    loop {
        let page = store.list_audit(&filter).await.unwrap();
        let Some(last) = page.last() else { break };
        filter.after = Some(last.seq);
        times.extend(page.iter().map(|event| event.time));
    }
    assert_eq!(times, [6, 5, 4, 3, 2, 1, 0]);
}

#[tokio::test]
async fn old_events_go_in_small_batches() {
    let (store, _folder) = store().await;
    let store: &dyn Store = &store;
    let events: Vec<_> = (0..7)
        .map(|time| event("u", Uuid::new_v4(), time))
        .collect();
    store.append_audit(&events).await.unwrap();
    assert_eq!(store.drop_audit_before(5, 3).await.unwrap(), 3);
    assert_eq!(store.drop_audit_before(5, 3).await.unwrap(), 2);
    assert_eq!(store.drop_audit_before(5, 3).await.unwrap(), 0);
    assert_eq!(list(store, of("u")).await, [6, 5]);
}
