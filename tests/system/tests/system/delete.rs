//! Deleting: again and again, in the middle of a create, and with the session.

use sandgate_kit::Kind;
use sandgate_proto::{
    Outcome, Reason,
    v1::{CreateSandboxRequest, DeleteSessionRequest, SandboxState},
};
use sandgate_system::{Act, Op, World, assert_reason, eventually, uuid};

#[tokio::test]
async fn deleting_again_is_fine_and_leaves_a_tombstone() {
    let world = World::start().await;
    let client = world.client().await;
    let (session_id, sandbox_id) = client.pair().await;
    for _ in 0..3 {
        let gone = client.delete(&session_id, &sandbox_id).await.unwrap();
        assert_eq!(gone.state(), SandboxState::Deleted);
    }
    assert_eq!(world.fake.count(Op::Delete), 1);
    let seen = client.get(&session_id, &sandbox_id).await.unwrap();
    assert_eq!(seen.state(), SandboxState::Deleted);
}

#[tokio::test]
async fn it_wins_over_a_create_and_nothing_is_left() {
    let world = World::start().await;
    let client = world.client().await;
    let session_id = client.session().await;
    world.fake.set(Op::Create, Act::Hang);
    let sandbox_id = uuid();
    let request = CreateSandboxRequest {
        session_id: session_id.clone(),
        sandbox_id: sandbox_id.clone(),
        ..Default::default()
    };
    let creating = tokio::spawn({
        let client = client.clone();
        async move { client.create(request).await }
    });
    eventually("the provider is asked", || {
        world.fake.pending(Op::Create) == 1
    })
    .await;
    let deleting = tokio::spawn({
        let (client, session_id, sandbox_id) =
            (client.clone(), session_id.clone(), sandbox_id.clone());
        async move { client.delete(&session_id, &sandbox_id).await }
    });
    for _ in 0..200 {
        if client.get(&session_id, &sandbox_id).await.unwrap().state() == SandboxState::Deleting {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    world.fake.mend(Op::Create);
    let gone = deleting.await.unwrap().unwrap();
    assert_eq!(gone.state(), SandboxState::Deleted);
    assert!(world.fake.sandboxes().is_empty(), "a sandbox leaked");
    if let Ok(created) = creating.await.unwrap() {
        assert_ne!(created.sandbox.unwrap().state(), SandboxState::Running);
    }
}

#[tokio::test]
async fn a_delete_that_fails_is_finished_by_the_next() {
    let world = World::start().await;
    let client = world.client().await;
    let (session_id, sandbox_id) = client.pair().await;
    world
        .fake
        .set(Op::Delete, Act::Fail(Kind::Unavailable(Outcome::Ambiguous)));
    let failed = client.delete(&session_id, &sandbox_id).await.unwrap_err();
    assert_reason(&failed, Reason::UpstreamUnavailable, "");
    let seen = client.get(&session_id, &sandbox_id).await.unwrap();
    assert_eq!(seen.state(), SandboxState::Deleting);
    world.fake.mend(Op::Delete);
    client.delete(&session_id, &sandbox_id).await.unwrap();
    assert!(world.fake.sandboxes().is_empty());
}

#[tokio::test]
async fn a_session_takes_its_sandboxes_with_it() {
    let world = World::start().await;
    let client = world.client().await;
    let (session_id, sandbox_id) = client.pair().await;
    client.sandbox(&session_id).await;
    client.exec(&session_id, "", "print x").await.unwrap();
    let (other, kept) = client.pair().await;
    assert_eq!(world.fake.sandboxes().len(), 4);
    let request = DeleteSessionRequest {
        session_id: session_id.clone(),
        ..Default::default()
    };
    let gone = client
        .sessions()
        .delete_session(request.clone())
        .await
        .unwrap()
        .into_inner();
    assert!(gone.pending_sandbox_ids.is_empty());
    assert_eq!(world.fake.sandboxes(), std::slice::from_ref(&kept));
    let refused = client
        .exec(&session_id, &sandbox_id, "print x")
        .await
        .unwrap_err();
    assert_reason(&refused, Reason::SessionNotFound, "CreateSession");
    let refused = client
        .sessions()
        .delete_session(request.clone())
        .await
        .unwrap_err();
    assert_reason(&refused, Reason::SessionNotFound, "CreateSession");
    let request = DeleteSessionRequest {
        allow_missing: true,
        ..request
    };
    client.sessions().delete_session(request).await.unwrap();
    client.exec(&other, &kept, "print x").await.unwrap();
}
