//! The disk of the database is full: a real one.

use std::time::Duration;

use sandgate_proto::{
    Reason,
    v1::{
        CreateSandboxRequest, CreateSessionRequest, GetSessionRequest, ListAuditEventsRequest,
        SandboxState, audit_service_client::AuditServiceClient,
    },
};
use sandgate_system::{
    Act, Client, Op, Plan, World, assert_reason, eventually, fact, has_retry, uuid,
};

use crate::{disk::Disk, health, stream::Ticker};

async fn world_on(disk: &Disk) -> World {
    World::with(Plan {
        data: Some(disk.path().to_owned()),
        ..Plan::default()
    })
    .await
}

/// Makes sessions until the disk takes no more; their ids. What is free in the pages and in the log
/// of the database takes a few.
async fn fill_up(client: &Client, disk: &Disk) -> Vec<String> {
    disk.fill();
    let mut made = Vec::new();
    for _ in 0..200 {
        let request = CreateSessionRequest {
            title: "x".repeat(200),
            ..Default::default()
        };
        match client.sessions().create_session(request).await {
            Ok(answer) => made.push(answer.into_inner().session.unwrap().session_id),
            Err(status) => {
                assert_reason(&status, Reason::StoreUnavailable, "repeat");
                assert!(fact(&status, "outcome").is_some() && has_retry(&status));
                return made;
            }
        }
    }
    panic!("the disk takes everything");
}

async fn is_there(client: &Client, session_id: &str) {
    let request = GetSessionRequest {
        session_id: session_id.to_owned(),
    };
    client.sessions().get_session(request).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_refuses_changes_until_there_is_room() {
    let disk = Disk::mount();
    let world = world_on(&disk).await;
    let client = world.client().await;
    let (session_id, sandbox_id) = client.pair().await;
    let mut ticker = Ticker::start(&client, &session_id, &sandbox_id).await;
    let mut kept = vec![session_id.clone()];
    kept.extend(fill_up(&client, &disk).await);

    let request = CreateSandboxRequest {
        session_id: session_id.clone(),
        request_id: uuid(),
        ..Default::default()
    };
    let refused = client.create(request.clone()).await.unwrap_err();
    assert_reason(&refused, Reason::StoreUnavailable, "repeat");
    assert_eq!(world.fake.count(Op::Create), 1);
    health::until(&client, false).await;
    ticker.goes_on().await;
    for session_id in &kept {
        is_there(&client, session_id).await;
    }
    let seen = client.get(&session_id, &sandbox_id).await.unwrap();
    assert_eq!(seen.state(), SandboxState::Running);
    let ran = client.exec(&session_id, &sandbox_id, "print still here");
    assert_eq!(ran.await.unwrap().exit_code(), Some(0));

    disk.free();
    health::until(&client, true).await;
    let made = client.create(request).await.unwrap().sandbox.unwrap();
    kept.push(client.session().await);
    ticker.goes_on().await;
    let refusals = ListAuditEventsRequest {
        method: "sandbox.v1.SessionService/CreateSession".to_owned(),
        code: "UNAVAILABLE".to_owned(),
        ..Default::default()
    };
    let mut audit = AuditServiceClient::new(client.channel.clone());
    let told = audit.list_audit_events(refusals).await.unwrap();
    assert_eq!(told.into_inner().events.len(), 1, "the log lost an event");

    let world = world.restarted(Duration::ZERO).await;
    let client = world.client().await;
    for session_id in &kept {
        is_there(&client, session_id).await;
    }
    for sandbox_id in [sandbox_id, made.sandbox_id] {
        let seen = client.get(&session_id, &sandbox_id).await.unwrap();
        assert_eq!(seen.state(), SandboxState::Running);
    }
}

#[tokio::test]
async fn a_sandbox_that_could_not_be_noted_is_not_forgotten() {
    let disk = Disk::mount();
    let world = world_on(&disk).await;
    let client = world.client().await;
    let session_id = client.session().await;
    world.fake.set(Op::Create, Act::Hang);
    let sandbox_id = uuid();
    let request = CreateSandboxRequest {
        session_id: session_id.clone(),
        sandbox_id: sandbox_id.clone(),
        request_id: uuid(),
        ..Default::default()
    };
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.create(request).await }
    });
    eventually("asked", || world.fake.pending(Op::Create) == 1).await;
    fill_up(&client, &disk).await;
    world.fake.mend(Op::Create);
    let status = call.await.unwrap().unwrap_err();
    // It was made, so nobody may be told that nothing happened.
    assert_reason(&status, Reason::StoreUnavailable, "same request_id");
    assert_eq!(fact(&status, "outcome").as_deref(), Some("ambiguous"));
    assert!(has_retry(&status));
    assert_eq!(world.fake.sandboxes(), [sandbox_id.as_str()]);

    disk.free();
    let world = world.restarted(Duration::ZERO).await;
    let client = world.client().await;
    client.get(&session_id, &sandbox_id).await.unwrap();
    let deleted = client.delete(&session_id, &sandbox_id).await.unwrap();
    assert_eq!(deleted.state(), SandboxState::Deleted);
    assert!(world.fake.sandboxes().is_empty());
}
