//! The sandbox that a session's first command makes.

use futures::future::join_all;
use sandgate_proto::{
    Reason,
    v1::{CreateSessionRequest, GetExecutionRequest, SandboxSpec},
};
use sandgate_system::{Act, Op, World, assert_reason};

#[tokio::test]
async fn twenty_first_commands_at_once_make_one() {
    let world = World::start().await;
    let client = world.client().await;
    let session_id = client.session().await;
    world
        .fake
        .set(Op::Create, Act::Work(std::time::Duration::from_millis(200)));
    let runs = join_all((0..20).map(|_| client.exec(&session_id, "", "print x"))).await;
    let runs: Vec<_> = runs.into_iter().map(Result::unwrap).collect();
    assert!(runs.iter().all(|run| run.sandbox_id == runs[0].sandbox_id));
    assert_eq!(world.fake.count(Op::Create), 1);
    assert_eq!(world.fake.count(Op::Exec), 20);
    let again = client.exec(&session_id, "", "print x").await.unwrap();
    assert_eq!(again.sandbox_id, runs[0].sandbox_id);
    assert_eq!(world.fake.count(Op::Create), 1);
}

#[tokio::test]
async fn it_is_as_the_session_says() {
    let world = World::start().await;
    let client = world.client().await;
    let default_sandbox = Some(SandboxSpec {
        title: "mine".to_owned(),
        ..Default::default()
    });
    let request = CreateSessionRequest {
        default_sandbox,
        ..Default::default()
    };
    let made = client
        .sessions()
        .create_session(request)
        .await
        .unwrap()
        .into_inner();
    let session_id = made.session.unwrap().session_id;
    client.exec(&session_id, "", "print x").await.unwrap();
    assert_eq!(
        world.fake.calls(Op::Create)[0].spec.as_ref().unwrap().title,
        "mine"
    );
}

#[tokio::test]
async fn one_that_was_deleted_is_made_anew() {
    let world = World::start().await;
    let client = world.client().await;
    let session_id = client.session().await;
    let first = client
        .exec(&session_id, "", "print x")
        .await
        .unwrap()
        .sandbox_id;
    client.delete(&session_id, &first).await.unwrap();
    let second = client
        .exec(&session_id, "", "print x")
        .await
        .unwrap()
        .sandbox_id;
    assert_ne!(first, second);
}

#[tokio::test]
async fn calls_that_only_look_make_none() {
    let world = World::start().await;
    let client = world.client().await;
    let session_id = client.session().await;
    let request = GetExecutionRequest {
        session_id: session_id.clone(),
        execution_id: "e".to_owned(),
        ..Default::default()
    };
    let refused = client
        .executions()
        .get_execution(request)
        .await
        .unwrap_err();
    assert_reason(&refused, Reason::InvalidField, "sandbox_id");
    let refused = client.get(&session_id, "").await.unwrap_err();
    assert_reason(&refused, Reason::InvalidField, "sandbox_id");
    assert_eq!(world.fake.count(Op::Create), 0);
}
