//! Bytes that are no request, on calls that the gateway answers and on calls that it relays.

use bytes::Bytes;
use sandgate_proto::{
    Reason,
    v1::{ExecRequest, GetSandboxRequest},
};
use sandgate_system::{Op, World, assert_reason, frame, framed, reason};
use tonic::Code;

const EXEC: &str = "/sandbox.v1.SandboxService/Exec";
const GET: &str = "/sandbox.v1.SandboxService/GetSandbox";
const PATHS: [&str; 2] = [GET, EXEC];

async fn requests(world: &World) -> [Bytes; 2] {
    let (session_id, sandbox_id) = world.client().await.pair().await;
    let get = GetSandboxRequest {
        session_id: session_id.clone(),
        sandbox_id: sandbox_id.clone(),
    };
    let exec = ExecRequest {
        session_id,
        sandbox_id,
        command: "print x".to_owned(),
        ..Default::default()
    };
    [framed(&get), framed(&exec)]
}

/// A good call on the same connection, and on a new one.
async fn lives(world: &World, raw: &sandgate_system::Raw) {
    for (path, request) in PATHS.into_iter().zip(requests(world).await) {
        assert_eq!(
            raw.call(path, &[], request.clone()).await.status().code(),
            Code::Ok
        );
        assert_eq!(
            world
                .raw()
                .await
                .call(path, &[], request)
                .await
                .status()
                .code(),
            Code::Ok
        );
    }
}

#[tokio::test]
async fn garbage_is_refused() {
    let world = World::start().await;
    let raw = world.raw().await;
    for path in PATHS {
        for garbage in [
            Bytes::from_static(b""),
            Bytes::from_static(b"\x00"),
            Bytes::from_static(b"hello, is this gRPC?"),
            frame(0, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
            frame(0, b"{\"session_id\": 1}"),
            frame(0, &[0x0a, 0x05, 0xff]),
            frame(0, &[0x0a, 0x02, 0xff, 0xfe]),
            frame(0, &[0x08, 0x01]),
            frame(0, &[0x0b, 0x0c]),
            frame(0, &vec![0x0b; 100_000]),
        ] {
            let refused = raw.call(path, &[], garbage.clone()).await.status();
            assert_eq!(
                reason(&refused).0,
                Code::InvalidArgument,
                "{path} {garbage:?}: {refused:?}"
            );
        }
    }
    lives(&world, &raw).await;
}

#[tokio::test]
async fn a_message_that_is_cut_off_is_refused() {
    let world = World::start().await;
    let raw = world.raw().await;
    for (path, request) in PATHS.into_iter().zip(requests(&world).await) {
        for length in [1, 4, 5, 6, request.len() - 1] {
            let refused = raw.call(path, &[], request.slice(..length)).await.status();
            assert_reason(&refused, Reason::InvalidField, "");
        }
    }
    assert_eq!(world.fake.count(Op::Exec), 0);
    lives(&world, &raw).await;
}

#[tokio::test]
async fn two_messages_in_a_call_of_one_are_refused() {
    let world = World::start().await;
    let raw = world.raw().await;
    for (path, request) in PATHS.into_iter().zip(requests(&world).await) {
        let twice = [request.clone(), request].concat();
        let refused = raw.call(path, &[], twice).await.status();
        assert_reason(&refused, Reason::InvalidField, "message");
    }
    assert_eq!(world.fake.count(Op::Exec), 0);
    lives(&world, &raw).await;
}

#[tokio::test]
async fn compression_is_refused() {
    let world = World::start().await;
    let raw = world.raw().await;
    for (path, request) in PATHS.into_iter().zip(requests(&world).await) {
        let compressed = frame(1, &request[5..]);
        for headers in [vec![], vec![("grpc-encoding", "gzip")]] {
            let refused = raw.call(path, &headers, compressed.clone()).await.status();
            assert_reason(&refused, Reason::CapabilityUnsupported, "uncompressed");
        }
    }
    assert_eq!(world.fake.count(Op::Exec), 0);
    lives(&world, &raw).await;
}

#[tokio::test]
async fn another_content_type_is_refused() {
    let world = World::start().await;
    let raw = world.raw().await;
    for (path, request) in PATHS.into_iter().zip(requests(&world).await) {
        for wrong in [
            "application/json",
            "text/html",
            "application/grpc-web",
            "application/grpcx",
        ] {
            let reply = raw
                .call(path, &[("content-type", wrong)], request.clone())
                .await;
            assert_reason(&reply.status(), Reason::InvalidField, "application/grpc");
        }
        let reply = raw
            .call(path, &[("content-type", "application/grpc+proto")], request)
            .await;
        assert_eq!(reply.status().code(), Code::Ok);
    }
    lives(&world, &raw).await;
}

#[tokio::test]
async fn an_unknown_path_is_refused_with_how_to_find_the_known_ones() {
    let world = World::start().await;
    let raw = world.raw().await;
    for path in [
        "/",
        "/sandbox.v1.SandboxService/Frobnicate",
        "/sandbox.v9.X/Y",
        "/sandbox.v1.SandboxService/exec",
    ] {
        let refused = raw.call(path, &[], frame(0, b"")).await.status();
        assert_reason(&refused, Reason::MethodUnknown, "reflection");
    }
    lives(&world, &raw).await;
}

#[tokio::test]
async fn a_malformed_deadline_is_refused() {
    let world = World::start().await;
    let raw = world.raw().await;
    for (path, request) in PATHS.into_iter().zip(requests(&world).await) {
        for wrong in ["", "S", "10", "10s", "-1S", "1.5S", "123456789S", "1 S"] {
            let refused = raw
                .call(path, &[("grpc-timeout", wrong)], request.clone())
                .await
                .status();
            assert_reason(&refused, Reason::InvalidField, "grpc-timeout");
        }
    }
    assert_eq!(world.fake.count(Op::Exec), 0);
    lives(&world, &raw).await;
}
