//! Stopping and starting: one at a time, by call or by itself.

use futures::future::join_all;
use sandgate_proto::{
    Reason,
    v1::{CreateSandboxRequest, Lifecycle, SandboxSpec, SandboxState},
};
use sandgate_system::{Act, Op, World, assert_reason};

const A_WHILE: Act = Act::Work(std::time::Duration::from_millis(200));

#[tokio::test]
async fn many_who_stop_or_start_make_one_call() {
    let world = World::start().await;
    let client = world.client().await;
    let (session_id, sandbox_id) = client.pair().await;
    world.fake.set(Op::Stop, A_WHILE);
    world.fake.set(Op::Start, A_WHILE);
    for stopped in join_all((0..10).map(|_| client.stop(&session_id, &sandbox_id))).await {
        assert_eq!(stopped.unwrap().state(), SandboxState::Stopped);
    }
    for started in join_all((0..10).map(|_| client.start(&session_id, &sandbox_id))).await {
        assert_eq!(started.unwrap().state(), SandboxState::Running);
    }
    assert_eq!(world.fake.count(Op::Stop), 1);
    assert_eq!(world.fake.count(Op::Start), 1);
    client.start(&session_id, &sandbox_id).await.unwrap();
    assert_eq!(world.fake.count(Op::Start), 1, "it already ran");
}

#[tokio::test]
async fn commands_start_a_stopped_sandbox_once() {
    let world = World::start().await;
    let client = world.client().await;
    let (session_id, sandbox_id) = client.pair().await;
    client.stop(&session_id, &sandbox_id).await.unwrap();
    world.fake.set(Op::Start, A_WHILE);
    for ran in join_all((0..10).map(|_| client.exec(&session_id, &sandbox_id, "print x"))).await {
        assert_eq!(ran.unwrap().stdout, b"x");
    }
    assert_eq!(world.fake.count(Op::Start), 1);
}

#[tokio::test]
async fn without_auto_start_a_command_is_refused() {
    let world = World::start().await;
    let client = world.client().await;
    let session_id = client.session().await;
    let lifecycle = Some(Lifecycle {
        auto_start: Some(false),
        ..Default::default()
    });
    let spec = Some(SandboxSpec {
        lifecycle,
        ..Default::default()
    });
    let request = CreateSandboxRequest {
        session_id: session_id.clone(),
        spec,
        ..Default::default()
    };
    let sandbox_id = client
        .create(request)
        .await
        .unwrap()
        .sandbox
        .unwrap()
        .sandbox_id;
    client.stop(&session_id, &sandbox_id).await.unwrap();
    let refused = client
        .exec(&session_id, &sandbox_id, "print x")
        .await
        .unwrap_err();
    assert_reason(&refused, Reason::SandboxNotRunning, "StartSandbox");
    assert_eq!(world.fake.count(Op::Start), 0);
    client.start(&session_id, &sandbox_id).await.unwrap();
    client
        .exec(&session_id, &sandbox_id, "print x")
        .await
        .unwrap();
}

#[tokio::test]
async fn a_start_that_fails_can_be_tried_again() {
    let world = World::start().await;
    let client = world.client().await;
    let (session_id, sandbox_id) = client.pair().await;
    client.stop(&session_id, &sandbox_id).await.unwrap();
    world
        .fake
        .set(Op::Start, Act::Fail(sandgate_kit::Kind::Rejected));
    let failed = client.start(&session_id, &sandbox_id).await.unwrap_err();
    assert_reason(&failed, Reason::UpstreamRejected, "");
    let seen = client.get(&session_id, &sandbox_id).await.unwrap();
    assert_eq!(seen.state(), SandboxState::Stopped);
    world.fake.mend(Op::Start);
    client
        .exec(&session_id, &sandbox_id, "print x")
        .await
        .unwrap();
}

#[tokio::test]
async fn a_sandbox_that_vanished_is_failed_and_says_so() {
    let world = World::start().await;
    let client = world.client().await;
    let (session_id, sandbox_id) = client.pair().await;
    world.fake.lose(&sandbox_id);
    let seen = client.get(&session_id, &sandbox_id).await.unwrap();
    assert_eq!(seen.state(), SandboxState::Failed);
    assert!(seen.reason.unwrap().message.contains("make a new one"));
    client.delete(&session_id, &sandbox_id).await.unwrap();
}
