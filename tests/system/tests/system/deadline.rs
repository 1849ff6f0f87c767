//! Deadlines are the gateway's to keep, whatever the provider does.

use std::time::{Duration, Instant};

use sandgate_proto::{
    Reason,
    v1::{CreateSandboxRequest, ExecRequest, GetSandboxRequest},
};
use sandgate_system::{Act, Op, World, assert_reason, eventually, fact, framed};
use tonic::Code;

const EXEC: &str = "/sandbox.v1.SandboxService/Exec";
const GET: &str = "/sandbox.v1.SandboxService/GetSandbox";
const CREATE: &str = "/sandbox.v1.SandboxService/CreateSandbox";

#[tokio::test]
async fn a_handler_that_hangs_is_deadline_exceeded() {
    let world = World::start().await;
    let (session_id, sandbox_id) = world.client().await.pair().await;
    for op in [Op::Exec, Op::Get, Op::Create] {
        world.fake.set(op, Act::Hang);
    }
    let exec = ExecRequest {
        session_id: session_id.clone(),
        sandbox_id: sandbox_id.clone(),
        command: "print x".to_owned(),
        ..Default::default()
    };
    let get = GetSandboxRequest {
        session_id: session_id.clone(),
        sandbox_id,
    };
    let create = CreateSandboxRequest {
        session_id,
        ..Default::default()
    };
    let raw = world.raw().await;
    // Often: the deadline of the way to the provider must not come first.
    for (path, request) in [
        (EXEC, framed(&exec)),
        (GET, framed(&get)),
        (CREATE, framed(&create)),
    ] {
        for _ in 0..10 {
            let begun = Instant::now();
            let late = raw
                .call(path, &[("grpc-timeout", "100m")], request.clone())
                .await
                .status();
            assert_reason(&late, Reason::DeadlineExceeded, "allow more time");
            assert_eq!(fact(&late, "outcome").as_deref(), Some("ambiguous"));
            let took = begun.elapsed();
            assert!(
                took >= Duration::from_millis(99) && took < Duration::from_secs(3),
                "{took:?}"
            );
        }
    }
    for op in [Op::Exec, Op::Get, Op::Create] {
        world.fake.mend(op);
    }
    assert_eq!(
        raw.call(EXEC, &[], framed(&exec)).await.status().code(),
        Code::Ok
    );
}

#[tokio::test]
async fn a_stream_that_goes_on_too_long_ends_with_deadline_exceeded() {
    let world = World::start().await;
    let (session_id, sandbox_id) = world.client().await.pair().await;
    let exec = ExecRequest {
        session_id,
        sandbox_id,
        command: "print x; hang".to_owned(),
        cancel_on_disconnect: true,
        ..Default::default()
    };
    let raw = world.raw().await;
    for _ in 0..10 {
        let reply = raw
            .call(EXEC, &[("grpc-timeout", "200m")], framed(&exec))
            .await;
        assert!(!reply.body.is_empty(), "output came before the deadline");
        assert_reason(&reply.status(), Reason::DeadlineExceeded, "");
    }
    eventually("the commands are ended", || world.fake.live() == 0).await;
}

#[tokio::test]
async fn a_caller_that_sends_nothing_meets_its_deadline() {
    let world = World::start().await;
    let raw = world.raw().await;
    for path in [EXEC, GET] {
        let silent = http_body_util::BodyExt::boxed(http_body_util::StreamBody::new(
            futures::stream::pending(),
        ));
        let late = raw
            .send_body(path, &[("grpc-timeout", "200m")], silent)
            .await
            .unwrap();
        assert_reason(&late.status(), Reason::DeadlineExceeded, "");
    }
    world.client().await.pair().await;
}
