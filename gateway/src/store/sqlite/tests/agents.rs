//! Agents: ids and requests taken once, changes, lists.

use super::store;
use crate::store::{AgentChanges, AgentFilter, AgentRecord, InsertOutcome, PageKey, Store};
use uuid::Uuid;

fn agent(org: &str, id: &str, time: i64) -> AgentRecord {
    AgentRecord {
        org_id: org.into(),
        agent_id: id.into(),
        user_id: "u".into(),
        kind: 1,
        request_id: None,
        fingerprint: vec![1],
        definition: vec![2],
        labels: [("team".to_owned(), "a".to_owned())].into(),
        version: 1,
        create_time: time,
        update_time: time,
    }
}

fn of(org: &str) -> AgentFilter {
    AgentFilter {
        org_id: org.into(),
        user_id: String::new(),
        kind: 0,
        labels: Default::default(),
        after: None,
        limit: 10,
    }
}

async fn ids(store: &dyn Store, filter: &AgentFilter) -> Vec<String> {
    let rows = store.list_agents(filter).await.unwrap();
    rows.into_iter().map(|row| row.agent_id).collect()
}

#[tokio::test]
async fn an_id_is_taken_once_in_an_organisation() {
    let (store, _folder) = store().await;
    let store: &dyn Store = &store;
    let mut one = agent("org", "a", 1);
    one.request_id = Some(Uuid::new_v4());
    assert_eq!(store.same_agent(&one).await.unwrap(), None);
    let inserted = store.insert_agent(&one).await.unwrap();
    assert_eq!(inserted, InsertOutcome::Inserted);
    let again = store.insert_agent(&agent("org", "a", 2)).await.unwrap();
    assert_eq!(again, InsertOutcome::SameId(one.clone()));
    let mut other = agent("org", "b", 2);
    other.request_id = one.request_id;
    let same = InsertOutcome::SameRequest(one.clone());
    assert_eq!(store.insert_agent(&other).await.unwrap(), same);
    assert_eq!(store.same_agent(&other).await.unwrap(), Some(same));
    other.user_id = "v".into();
    let inserted = store.insert_agent(&other).await.unwrap();
    assert_eq!(inserted, InsertOutcome::Inserted);
    let elsewhere = store.insert_agent(&agent("else", "a", 1)).await.unwrap();
    assert_eq!(elsewhere, InsertOutcome::Inserted);
    assert_eq!(store.agent("org", "a").await.unwrap(), Some(one.clone()));

    assert!(store.delete_agent("org", "a").await.unwrap());
    assert!(!store.delete_agent("org", "a").await.unwrap());
    assert_eq!(store.agent("org", "a").await.unwrap(), None);
    assert!(store.agent("else", "a").await.unwrap().is_some());
    let anew = store.insert_agent(&one).await.unwrap();
    assert_eq!(anew, InsertOutcome::Inserted);
}

#[tokio::test]
async fn of_two_changes_of_an_agent_one_wins() {
    let (store, _folder) = store().await;
    let store: &dyn Store = &store;
    let one = agent("org", "a", 1);
    store.insert_agent(&one).await.unwrap();
    let changes = AgentChanges {
        definition: vec![9],
        labels: Default::default(),
        update_time: 5,
    };
    let changed = store.change_agent("org", "a", 1, &changes).await.unwrap();
    let wanted = AgentRecord {
        definition: vec![9],
        labels: Default::default(),
        version: 2,
        update_time: 5,
        ..one
    };
    assert_eq!(changed, Some(wanted));
    let late = store.change_agent("org", "a", 1, &changes).await.unwrap();
    assert_eq!(late, None);
    let none = store.change_agent("org", "b", 1, &changes).await.unwrap();
    assert_eq!(none, None);
}

#[tokio::test]
async fn agents_are_listed_newest_first_and_filtered() {
    let (store, _folder) = store().await;
    let store: &dyn Store = &store;
    for (id, time) in [("a", 5), ("b", 5), ("c", 7)] {
        store.insert_agent(&agent("org", id, time)).await.unwrap();
    }
    let mut harness = agent("org", "h", 1);
    (harness.kind, harness.user_id) = (2, "v".into());
    harness.labels.clear();
    store.insert_agent(&harness).await.unwrap();
    store.insert_agent(&agent("else", "x", 9)).await.unwrap();
    let mut filter = of("org");
    assert_eq!(ids(store, &filter).await, ["c", "b", "a", "h"]);
    filter.after = Some(PageKey {
        time: 5,
        id: "b".into(),
    });
    filter.limit = 1;
    assert_eq!(ids(store, &filter).await, ["a"]);
    let kind = AgentFilter {
        kind: 2,
        ..of("org")
    };
    assert_eq!(ids(store, &kind).await, ["h"]);
    let user = AgentFilter {
        user_id: "v".into(),
        ..of("org")
    };
    assert_eq!(ids(store, &user).await, ["h"]);
    let labels = AgentFilter {
        labels: [("team".to_owned(), "a".to_owned())].into(),
        ..of("org")
    };
    assert_eq!(ids(store, &labels).await, ["c", "b", "a"]);
}
