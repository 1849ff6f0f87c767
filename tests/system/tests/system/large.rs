//! What is larger than the contract allows.

use sandgate_proto::{
    Reason,
    v1::{CreateSessionRequest, ExecRequest, GetSandboxRequest},
};
use sandgate_system::{Op, World, assert_reason, fact, framed};
use tonic::Code;

const EXEC: &str = "/sandbox.v1.SandboxService/Exec";
const GET: &str = "/sandbox.v1.SandboxService/GetSandbox";

#[tokio::test]
async fn a_first_message_of_five_mebibytes_is_refused() {
    let world = World::start().await;
    let client = world.client().await;
    let (session_id, sandbox_id) = client.pair().await;
    let mut request = ExecRequest {
        session_id: session_id.clone(),
        sandbox_id: sandbox_id.clone(),
        command: "print x".to_owned(),
        stdin: vec![0; 5 << 20].into(),
        ..Default::default()
    };
    let raw = world.raw().await;
    let refused = raw.call(EXEC, &[], framed(&request)).await.status();
    assert_reason(&refused, Reason::InvalidField, "4 MiB");
    assert_eq!(fact(&refused, "limit_bytes").as_deref(), Some("4194304"));
    assert_eq!(world.fake.count(Op::Exec), 0);

    let owned = CreateSessionRequest {
        title: "x".repeat(5 << 20),
        ..Default::default()
    };
    let refused = raw
        .call(
            "/sandbox.v1.SessionService/CreateSession",
            &[],
            framed(&owned),
        )
        .await;
    assert_reason(&refused.status(), Reason::InvalidField, "");

    request.stdin = vec![0; 4 << 20].into();
    request
        .stdin
        .truncate((4 << 20) - (prost::Message::encoded_len(&request) - (4 << 20)));
    assert_eq!(prost::Message::encoded_len(&request), 4 << 20);
    assert_eq!(
        raw.call(EXEC, &[], framed(&request)).await.status().code(),
        Code::Ok
    );
    assert_eq!(world.fake.count(Op::Exec), 1);
}

#[tokio::test]
async fn headers_over_sixteen_kibibytes_are_a_typed_error() {
    let world = World::start().await;
    let client = world.client().await;
    let (session_id, sandbox_id) = client.pair().await;
    let raw = world.raw().await;
    let request = framed(&GetSandboxRequest {
        session_id: session_id.clone(),
        sandbox_id: sandbox_id.clone(),
    });
    for size in [17_000, 30_000, 60_000] {
        let long = "x".repeat(size);
        for path in [GET, EXEC] {
            let refused = raw
                .call(path, &[("x-long", &long)], request.clone())
                .await
                .status();
            assert_reason(&refused, Reason::InvalidField, "16 KiB");
        }
    }
    let long = "x".repeat(12_000);
    let reply = raw.call(GET, &[("x-long", &long)], request).await;
    assert_eq!(reply.status().code(), Code::Ok);
}

#[tokio::test]
async fn headers_over_sixty_four_kibibytes_end_at_most_their_connection() {
    let world = World::start().await;
    let client = world.client().await;
    let (session_id, sandbox_id) = client.pair().await;
    let long = "x".repeat(200_000);
    for path in [GET, EXEC] {
        let request = GetSandboxRequest {
            session_id: session_id.clone(),
            sandbox_id: sandbox_id.clone(),
        };
        let reply = world
            .raw()
            .await
            .send(path, &[("x-long", &long)], framed(&request))
            .await;
        assert!(
            reply.is_err() || !reply.as_ref().unwrap().http.is_success(),
            "{reply:?} is a success"
        );
    }
    client
        .exec(&session_id, &sandbox_id, "print x")
        .await
        .unwrap();
    world.client().await.pair().await;
}
