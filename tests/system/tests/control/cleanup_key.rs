//! Cleaning up outlives its key: a sandbox is deleted with the one that it was made with.

use std::time::Duration;

use sandgate_kit::Kind;
use sandgate_proto::{
    Outcome, Reason,
    v1::{DeleteSessionRequest, SandboxState},
};
use sandgate_system::{Act, Client, Op, Plan, World, assert_reason, eventually};

use crate::{database::values, sessions::quick};

const SECRET: &str = "CSB_API_KEY";

async fn world() -> (World, Client) {
    let world = World::with(Plan {
        also: vec!["e2b", "codesandbox"],
        ..quick()
    })
    .await;
    let client = world.client().await;
    (world, client)
}

/// A sandbox that was made with the connection A.
async fn made_with_a(client: &Client) -> (String, String) {
    client.connect_to("e2b", "A", "").await;
    let session_id = client.session().await;
    let sandbox_id = client.sandbox_at(&session_id, "e2b").await.unwrap();
    (session_id, sandbox_id)
}

/// The keys that deletes came with.
fn deletes(world: &World) -> Vec<String> {
    let calls = world.fake.calls(Op::Delete);
    let key = |call: &sandgate_system::Call| call.key().unwrap_or("none").to_owned();
    calls.iter().map(key).collect()
}

async fn delete_session(client: &Client, session_id: &str) -> Vec<String> {
    let request = DeleteSessionRequest {
        session_id: session_id.to_owned(),
        ..Default::default()
    };
    let gone = client.sessions().delete_session(request).await.unwrap();
    gone.into_inner().pending_sandbox_ids
}

#[tokio::test]
async fn a_replaced_and_deleted_connection_is_kept_until_its_last_sandbox_is_gone() {
    let (world, client) = world().await;
    let (session_id, sandbox_id) = made_with_a(&client).await;
    let second = client.sandbox_at(&session_id, "e2b").await.unwrap();
    client.connect_to("e2b", "B", "").await;
    client
        .exec(&session_id, &sandbox_id, "print x")
        .await
        .unwrap();
    assert_eq!(world.fake.calls(Op::Exec)[0].key(), Some("B"));
    client.disconnect("e2b").await;
    // Nothing was made with B.
    assert_eq!(values(&world, "e2b", true).await, 0);
    assert_eq!(values(&world, "e2b", false).await, 1);
    let gone = client.delete(&session_id, &sandbox_id).await.unwrap();
    assert_eq!(gone.state(), SandboxState::Deleted);
    assert_eq!(deletes(&world), ["A"]);
    assert_eq!(values(&world, "e2b", false).await, 1, "the second needs it");
    client.delete(&session_id, &second).await.unwrap();
    assert_eq!(deletes(&world), ["A", "A"]);
    assert_eq!(values(&world, "e2b", false).await, 0);
    assert!(world.fake.sandboxes().is_empty());
}

#[tokio::test]
async fn a_key_that_is_still_in_use_stays() {
    let (world, client) = world().await;
    let (session_id, sandbox_id) = made_with_a(&client).await;
    client.delete(&session_id, &sandbox_id).await.unwrap();
    assert_eq!(deletes(&world), ["A"]);
    assert_eq!(values(&world, "e2b", true).await, 1);
    client.sandbox_at(&session_id, "e2b").await.unwrap();
}

#[tokio::test]
async fn a_sessions_secret_cleans_up_after_the_session() {
    let (world, client) = world().await;
    let session_id = client.session().await;
    client.set_secret(&session_id, SECRET, "A").await;
    client.sandbox_at(&session_id, "codesandbox").await.unwrap();
    client.set_secret(&session_id, SECRET, "B").await;
    client.sandbox_at(&session_id, "codesandbox").await.unwrap();
    client.set_secret(&session_id, "OTHER", "secret").await;
    let down = Kind::Unavailable(Outcome::Rejected);
    world.fake.set(Op::Delete, Act::Fail(down));
    assert_eq!(delete_session(&client, &session_id).await.len(), 2);
    // What the provider could not do yet is tried again, with the keys of a session that is gone.
    eventually("some tries", || world.fake.count(Op::Delete) >= 6).await;
    let kept = values(&world, SECRET, false).await + values(&world, SECRET, true).await;
    assert_eq!(kept, 2);
    world.fake.mend(Op::Delete);
    eventually("both are gone", || world.fake.sandboxes().is_empty()).await;
    let mut keys = deletes(&world);
    keys.sort();
    keys.dedup();
    assert_eq!(keys, ["A", "B"]);
    for _ in 0..500 {
        let left = values(&world, SECRET, false).await + values(&world, "OTHER", true).await;
        if left == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for name in [SECRET, "OTHER"] {
        assert_eq!(values(&world, name, false).await, 0, "{name}");
        assert_eq!(values(&world, name, true).await, 0, "{name}");
    }
}

#[tokio::test]
async fn a_key_that_is_refused_gives_way_to_the_one_that_the_user_has() {
    let (world, client) = world().await;
    let (session_id, sandbox_id) = made_with_a(&client).await;
    client.connect_to("e2b", "B", "").await;
    world.fake.refuse("A");
    let gone = client.delete(&session_id, &sandbox_id).await.unwrap();
    assert_eq!(gone.state(), SandboxState::Deleted);
    assert_eq!(deletes(&world), ["A", "B"]);
    assert_eq!(values(&world, "e2b", false).await, 0);
    assert_eq!(values(&world, "e2b", true).await, 1);
}

#[tokio::test]
async fn a_key_that_is_refused_with_no_other_is_said_and_a_new_one_helps() {
    let (world, client) = world().await;
    let (session_id, sandbox_id) = made_with_a(&client).await;
    world.fake.refuse("A");
    for _ in 0..2 {
        let refused = client.delete(&session_id, &sandbox_id).await.unwrap_err();
        assert_reason(&refused, Reason::CredentialRejected, "");
    }
    client.disconnect("e2b").await;
    let refused = client.delete(&session_id, &sandbox_id).await.unwrap_err();
    assert_reason(&refused, Reason::CredentialRejected, "");
    assert_eq!(deletes(&world), ["A", "A", "A"]);
    let left = client.get(&session_id, &sandbox_id).await.unwrap();
    assert_eq!(left.state(), SandboxState::Deleting);
    client.connect_to("e2b", "C", "").await;
    client.delete(&session_id, &sandbox_id).await.unwrap();
    assert_eq!(deletes(&world)[3..], ["A", "C"]);
    assert_eq!(values(&world, "e2b", false).await, 0);
}

#[tokio::test]
async fn another_gateway_and_one_that_was_restarted_do_the_same() {
    let (world, client) = world().await;
    let (session_id, sandbox_id) = made_with_a(&client).await;
    let second = client.sandbox_at(&session_id, "e2b").await.unwrap();
    client.connect_to("e2b", "B", "").await;
    client.disconnect("e2b").await;
    let beside = world.beside().await;
    let other = Client::connect(beside.address()).await;
    other.delete(&session_id, &sandbox_id).await.unwrap();
    assert_eq!(values(&world, "e2b", false).await, 1);
    beside.stop(Duration::ZERO).await;
    let world = world.restarted(Duration::ZERO).await;
    let client = world.client().await;
    client.delete(&session_id, &second).await.unwrap();
    assert_eq!(deletes(&world), ["A", "A"]);
    assert_eq!(values(&world, "e2b", false).await, 0);
}

#[tokio::test]
async fn a_create_that_fails_is_taken_back_with_its_own_key() {
    let (world, client) = world().await;
    client.connect_to("e2b", "A", "").await;
    let session_id = client.session().await;
    for replaced in [true, false] {
        world.fake.set(Op::Create, Act::Hang);
        let (by, of) = (client.clone(), session_id.clone());
        let create = tokio::spawn(async move { by.sandbox_at(&of, "e2b").await });
        eventually("it is asked", || world.fake.pending(Op::Create) == 1).await;
        if replaced {
            client.connect_to("e2b", "B", "").await;
        } else {
            client.disconnect("e2b").await;
        }
        assert_eq!(values(&world, "e2b", false).await, 1);
        world.fake.set(Op::Create, Act::Fail(Kind::Internal));
        let failed = create.await.unwrap().unwrap_err();
        assert_reason(&failed, Reason::Internal, "");
        assert_eq!(values(&world, "e2b", false).await, 0);
    }
    assert_eq!(deletes(&world), ["A", "B"]);
    assert_eq!(values(&world, "e2b", true).await, 0);
}
