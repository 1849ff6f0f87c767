//! RenewSandbox: what it tells, and what it leaves alone.

use sandgate_proto::{
    Reason,
    v1::{EndExecutions, RenewSandboxRequest, SandboxState},
};
use sandgate_system::{Op, World, assert_reason, eventually, fact};

use crate::{
    calls::{Named, seconds},
    pair::pausing,
};

#[tokio::test]
async fn what_is_for_the_gateway_alone_is_refused() {
    let world = World::start().await;
    let one = Named::running(&world.client().await).await;
    let plain = RenewSandboxRequest {
        session_id: one.session_id.clone(),
        sandbox_id: one.sandbox_id.clone(),
        ..Default::default()
    };
    let asked = [
        (
            "end_executions",
            RenewSandboxRequest {
                end_executions: Some(EndExecutions::default()),
                ..plain.clone()
            },
        ),
        (
            "keep_for",
            RenewSandboxRequest {
                keep_for: Some(seconds(60)),
                ..plain
            },
        ),
    ];
    for (field, request) in asked {
        let refused = one.client.sandboxes().renew_sandbox(request).await;
        let refused = refused.unwrap_err();
        assert_reason(&refused, Reason::InvalidField, "leave it empty");
        assert_eq!(fact(&refused, "field").as_deref(), Some(field));
    }
    assert_eq!(world.fake.count(Op::Renew), 0);
}

#[tokio::test]
async fn it_tells_what_runs_and_once_what_has_ended() {
    let world = World::start().await;
    let one = Named::running(&world.client().await).await;
    one.exec("print first").await.unwrap();
    one.exec("complain second; exit 3").await.unwrap();
    let session = (&one.session_id, &one.sandbox_id);
    let _stream = one
        .client
        .stream(session.0, session.1, "hang")
        .await
        .unwrap();
    eventually("it runs", || world.fake.live() == 1).await;
    let told = one.renew("").await.unwrap();
    assert_eq!(told.running_executions, 1);
    assert_eq!(told.sandbox.as_ref().unwrap().running_executions, 1);
    assert!(told.last_activity_time.is_some());
    let tails: Vec<_> = told
        .ended
        .iter()
        .flat_map(|one| one.tails.iter().map(|tail| tail.data.as_ref()))
        .collect();
    assert_eq!(tails, [&b"first"[..], b"second"]);
    assert!(!told.ended_cursor.is_empty() && !told.more_ended && !told.closed);
    let later = one.renew(&told.ended_cursor).await.unwrap();
    assert!(later.ended.is_empty(), "{later:?}");
    one.exec("print third").await.unwrap();
    let later = one.renew(&later.ended_cursor).await.unwrap();
    assert_eq!(later.ended.len(), 1);
    // Who comes without a cursor begins at the oldest.
    assert_eq!(one.renew("").await.unwrap().ended.len(), 3);
}

#[tokio::test]
async fn it_wakes_nothing() {
    let world = World::with(pausing()).await;
    let one = Named::running(&world.client().await).await;
    one.pause(false).await.unwrap();
    let told = one.renew("").await.unwrap();
    assert_eq!(told.sandbox.unwrap().state(), SandboxState::Paused);
    one.stop().await.unwrap();
    let told = one.renew("").await.unwrap();
    assert_eq!(told.sandbox.unwrap().state(), SandboxState::Stopped);
    assert!(told.ended.is_empty() && told.ended_cursor.is_empty());
    let asked = (world.fake.count(Op::Start), world.fake.count(Op::Resume));
    assert_eq!(asked, (0, 0));
}
