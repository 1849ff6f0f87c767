//! Sessions that end by themselves.

use std::time::{Duration, SystemTime};

use prost_types::FieldMask;
use sandgate_kit::Kind;
use sandgate_proto::{
    Outcome, Reason,
    v1::{CreateSessionRequest, ListSessionsRequest, UpdateSessionRequest},
};
use sandgate_system::{Act, Client, Op, World, assert_reason, eventually};

use crate::sessions::{get, quick, update};

fn from_now(millis: u64) -> Option<prost_types::Timestamp> {
    Some((SystemTime::now() + Duration::from_millis(millis)).into())
}

async fn expiring(client: &Client, millis: u64) -> String {
    let request = CreateSessionRequest {
        expire_time: from_now(millis),
        ..Default::default()
    };
    let made = client.sessions().create_session(request).await.unwrap();
    made.into_inner().session.unwrap().session_id
}

async fn listed(client: &Client) -> usize {
    let request = ListSessionsRequest::default();
    let found = client.sessions().list_sessions(request).await.unwrap();
    found.into_inner().sessions.len()
}

#[tokio::test]
async fn an_expired_session_is_gone_with_all_that_it_owned() {
    let world = World::with(quick()).await;
    let client = world.client().await;
    let session_id = expiring(&client, 1500).await;
    let sandbox_id = client.sandbox(&session_id).await;
    client
        .exec(&session_id, &sandbox_id, "print x")
        .await
        .unwrap();
    let (kept, other) = client.pair().await;
    eventually("it is taken down", || {
        world.fake.sandboxes() == [other.as_str()]
    })
    .await;
    let refused = get(&client, &session_id).await.unwrap_err();
    assert_reason(&refused, Reason::SessionNotFound, "CreateSession");
    client.exec(&kept, &other, "print x").await.unwrap();
    assert_eq!(listed(&client).await, 1);
}

#[tokio::test]
async fn it_is_not_found_from_that_moment_on() {
    // Nothing is taken down in this test: only the time tells that it is gone.
    let world = World::with(sandgate_system::Plan {
        pace: sandgate_gateway::Pace {
            interval: Duration::from_secs(3600),
            ..Default::default()
        },
        ..Default::default()
    })
    .await;
    let client = world.client().await;
    let session_id = expiring(&client, 1500).await;
    let sandbox_id = client.sandbox(&session_id).await;
    assert_eq!(listed(&client).await, 1);
    let end = get(&client, &session_id)
        .await
        .unwrap()
        .expire_time
        .unwrap();
    let end = SystemTime::try_from(end).unwrap();
    // The route is known, and must not outlive the session.
    while SystemTime::now() < end {
        let _ = client.exec(&session_id, &sandbox_id, "print x").await;
    }
    let refused = client.exec(&session_id, &sandbox_id, "print x").await;
    assert_reason(
        &refused.unwrap_err(),
        Reason::SessionNotFound,
        "CreateSession",
    );
    let refused = client.get(&session_id, &sandbox_id).await.unwrap_err();
    assert_reason(&refused, Reason::SessionNotFound, "CreateSession");
    assert_eq!(listed(&client).await, 0);
    assert_eq!(world.fake.sandboxes().len(), 1);
}

#[tokio::test]
async fn the_time_lies_in_the_future_and_can_be_moved() {
    let world = World::with(quick()).await;
    let client = world.client().await;
    let past = Some((SystemTime::now() - Duration::from_secs(1)).into());
    let request = CreateSessionRequest {
        expire_time: past,
        ..Default::default()
    };
    let refused = client.sessions().create_session(request).await;
    assert_reason(&refused.unwrap_err(), Reason::InvalidField, "expire_time");
    let session_id = expiring(&client, 1000).await;
    let change = UpdateSessionRequest {
        session_id: session_id.clone(),
        expire_time: past,
        ..Default::default()
    };
    let refused = update(&client, change.clone()).await.unwrap_err();
    assert_reason(&refused, Reason::InvalidField, "expire_time");
    let later = UpdateSessionRequest {
        expire_time: from_now(3_600_000),
        ..change.clone()
    };
    let later = update(&client, later).await.unwrap();
    assert!(later.expire_time.is_some());
    let never = UpdateSessionRequest {
        expire_time: None,
        update_mask: Some(FieldMask {
            paths: vec!["expire_time".to_owned()],
        }),
        ..change
    };
    assert_eq!(update(&client, never).await.unwrap().expire_time, None);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    get(&client, &session_id).await.unwrap();
}

#[tokio::test]
async fn a_provider_that_is_down_is_asked_until_it_is_up() {
    let world = World::with(quick()).await;
    let client = world.client().await;
    let session_id = expiring(&client, 1000).await;
    client.sandbox(&session_id).await;
    let down = Kind::Unavailable(Outcome::Rejected);
    world.fake.set(Op::Delete, Act::Fail(down));
    eventually("it is tried again", || world.fake.count(Op::Delete) >= 3).await;
    world.fake.mend(Op::Delete);
    eventually("it is gone", || world.fake.sandboxes().is_empty()).await;
}
