//! Another program holds the lock of the database for longer than anybody waits.

use std::time::{Duration, Instant};

use sandgate_proto::{
    Reason,
    v1::{CreateSandboxRequest, CreateSessionRequest, ListSandboxesRequest, SandboxState},
};
use sandgate_system::{Client, Op, World, assert_reason, fact, has_retry, uuid};
use tonic::Status;

use crate::{files, health, stream::Ticker};

/// A wait for the lock, and one for the connection that waits for it.
const BOUND: Duration = Duration::from_secs(30);

#[track_caller]
fn assert_refused(status: &Status) {
    assert_reason(status, Reason::StoreUnavailable, "repeat the call");
    assert_eq!(fact(status, "outcome").as_deref(), Some("rejected"));
    assert!(has_retry(status));
    for hidden in ["sandgate.db", "SQLITE", "code:", "INSERT"] {
        assert!(!status.message().contains(hidden), "{status:?}");
    }
}

/// What needs no change of the database works, at once.
async fn assert_reads_go_on(client: &Client, session_id: &str, sandbox_id: &str) {
    let seen = client.get(session_id, sandbox_id).await.unwrap();
    assert_eq!(seen.state(), SandboxState::Running);
    let request = ListSandboxesRequest {
        session_id: session_id.to_owned(),
        ..Default::default()
    };
    let listed = client.sandboxes().list_sandboxes(request).await.unwrap();
    assert_eq!(listed.into_inner().sandboxes.len(), 1);
    let ran = client.exec(session_id, sandbox_id, "print still here");
    let ran = tokio::time::timeout(Duration::from_secs(3), ran).await;
    assert_eq!(
        ran.expect("it waits for the lock").unwrap().exit_code(),
        Some(0)
    );
}

#[tokio::test]
async fn a_lock_refuses_changes_and_nothing_else() {
    let world = World::start().await;
    let client = world.client().await;
    let (session_id, sandbox_id) = client.pair().await;
    let mut ticker = Ticker::start(&client, &session_id, &sandbox_id).await;
    health::until(&client, true).await;

    let mut holder = files::open(&world.database()).await;
    files::run(&mut holder, "BEGIN IMMEDIATE").await;
    let begun = Instant::now();
    let session = CreateSessionRequest {
        request_id: uuid(),
        ..Default::default()
    };
    let sandbox = CreateSandboxRequest {
        session_id: session_id.clone(),
        request_id: uuid(),
        alias: "later".to_owned(),
        ..Default::default()
    };
    let (mut sessions, to_delete) = (client.sessions(), client.clone());
    let (made, created, deleted) = tokio::join!(
        sessions.create_session(session.clone()),
        client.create(sandbox.clone()),
        to_delete.delete(&session_id, &sandbox_id),
    );
    assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
    for refused in [
        made.unwrap_err(),
        created.unwrap_err(),
        deleted.unwrap_err(),
    ] {
        assert_refused(&refused);
    }
    assert_eq!(world.fake.count(Op::Create), 1);
    assert_eq!(world.fake.count(Op::Delete), 0);

    ticker.goes_on().await;
    assert_reads_go_on(&client, &session_id, &sandbox_id).await;
    health::until(&client, false).await;

    files::run(&mut holder, "ROLLBACK").await;
    health::until(&client, true).await;
    // The same requests, which took nothing the first time.
    client.sessions().create_session(session).await.unwrap();
    let made = client.create(sandbox).await.unwrap();
    assert!(!made.replayed);
    ticker.goes_on().await;
    client.delete(&session_id, &sandbox_id).await.unwrap();
    assert_eq!(world.fake.sandboxes(), [made.sandbox.unwrap().sandbox_id]);
}

#[tokio::test]
async fn a_look_tells_what_cannot_be_written_yet() {
    let world = World::start().await;
    let client = world.client().await;
    let (session_id, sandbox_id) = client.pair().await;
    let mut holder = files::open(&world.database()).await;
    files::run(&mut holder, "BEGIN IMMEDIATE").await;
    world.fake.set_state(&sandbox_id, SandboxState::Stopped);
    let seen = client.get(&session_id, &sandbox_id).await.unwrap();
    assert_eq!(seen.state(), SandboxState::Stopped);
    files::run(&mut holder, "ROLLBACK").await;
    let written = client.get(&session_id, &sandbox_id).await.unwrap();
    assert_eq!(written.state(), SandboxState::Stopped);
    assert_ne!(written.etag, seen.etag);
    world.fake.lose(&sandbox_id);
    files::run(&mut holder, "BEGIN IMMEDIATE").await;
    let lost = client.get(&session_id, &sandbox_id).await.unwrap();
    assert_eq!(lost.state(), SandboxState::Failed);
}

#[tokio::test]
async fn a_gateway_does_not_start_behind_a_lock_that_stays() {
    let world = World::start().await;
    let mut holder = files::open(&world.database()).await;
    files::run(&mut holder, "BEGIN IMMEDIATE").await;
    let folder = world.database().parent().unwrap().to_owned();
    let begun = Instant::now();
    let refused = world.beside_on(&folder).await.err().expect("it starts");
    assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
    let said = refused.to_string();
    assert!(said.contains("end what holds its lock"), "{said}");
    files::run(&mut holder, "ROLLBACK").await;
    let started = world.beside_on(&folder).await.unwrap();
    started.stop(Duration::ZERO).await;
}
