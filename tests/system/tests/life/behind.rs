//! What happens to sandboxes upstream, behind the gateway's back.

use sandgate_proto::{
    Reason,
    v1::{CreateSandboxRequest, SandboxState},
};
use sandgate_system::{World, assert_reason};

use crate::calls::Named;

#[tokio::test]
async fn a_look_tells_the_state_that_is_true() {
    let world = World::start().await;
    let one = Named::running(&world.client().await).await;
    for state in [
        SandboxState::Stopped,
        SandboxState::Running,
        SandboxState::Paused,
        SandboxState::Stopped,
        SandboxState::Failed,
    ] {
        world.fake.set_state(&one.sandbox_id, state);
        assert_eq!(one.state().await, state);
        // And it is remembered.
        assert_eq!(one.state().await, state);
    }
    let refused = one.start().await.unwrap_err();
    assert_reason(&refused, Reason::SandboxNotRunning, "");
    assert_eq!(one.delete().await.unwrap().state(), SandboxState::Deleted);
    assert!(world.fake.sandboxes().is_empty());
}

#[tokio::test]
async fn calls_begin_from_what_is_true() {
    let world = World::start().await;
    let one = Named::running(&world.client().await).await;
    world.fake.set_state(&one.sandbox_id, SandboxState::Stopped);
    assert_eq!(one.state().await, SandboxState::Stopped);
    assert_eq!(one.exec("print x").await.unwrap(), b"x");
    assert_eq!(one.state().await, SandboxState::Running);
}

#[tokio::test]
async fn one_that_vanished_says_why_and_frees_its_alias() {
    let world = World::start().await;
    let client = world.client().await;
    let session_id = client.session().await;
    let request = CreateSandboxRequest {
        session_id: session_id.clone(),
        alias: "mine".to_owned(),
        ..Default::default()
    };
    let made = client.create(request.clone()).await.unwrap();
    let one = Named {
        client: client.clone(),
        session_id,
        sandbox_id: made.sandbox.unwrap().sandbox_id,
    };
    world.fake.lose(&one.sandbox_id);
    for _ in 0..2 {
        let seen = one.get().await.unwrap();
        assert_eq!(seen.state(), SandboxState::Failed);
        let why = seen.reason.unwrap();
        assert_eq!(why.code, Reason::SandboxNotFound.name());
        assert!(why.message.contains("make a new one"), "{why:?}");
    }
    for refused in [
        one.exec("print x").await.err(),
        one.start().await.err(),
        one.stop().await.err(),
        one.renew("").await.err(),
    ] {
        assert_reason(&refused.unwrap(), Reason::SandboxNotRunning, "new");
    }
    let taken = client.create(request.clone()).await.unwrap_err();
    assert_reason(&taken, Reason::AliasTaken, "delete it");
    assert_eq!(one.delete().await.unwrap().state(), SandboxState::Deleted);
    let again = client.create(request).await.unwrap().sandbox.unwrap();
    assert_ne!(again.sandbox_id, one.sandbox_id);
}
