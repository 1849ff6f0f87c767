//! Ids that are wrong, unknown, or somebody else's.

use sandgate_proto::{
    Reason,
    v1::{CreateSandboxRequest, ExecRequest, GetSessionRequest},
};
use sandgate_system::{Op, World, assert_reason, frame, framed, reason, uuid};

const EXEC: &str = "/sandbox.v1.SandboxService/Exec";
const GET: &str = "/sandbox.v1.SandboxService/GetSandbox";

#[tokio::test]
async fn an_unknown_session_is_not_found() {
    let world = World::start().await;
    let client = world.client().await;
    let (_, sandbox_id) = client.pair().await;
    let unknown = uuid();
    let request = CreateSandboxRequest {
        session_id: unknown.clone(),
        ..Default::default()
    };
    let sessions = client
        .sessions()
        .get_session(GetSessionRequest {
            session_id: unknown.clone(),
        })
        .await;
    for refused in [
        client
            .exec(&unknown, &sandbox_id, "print x")
            .await
            .unwrap_err(),
        client.exec(&unknown, "", "print x").await.unwrap_err(),
        client.get(&unknown, &sandbox_id).await.unwrap_err(),
        client.create(request).await.unwrap_err(),
        sessions.unwrap_err(),
    ] {
        assert_reason(&refused, Reason::SessionNotFound, "CreateSession");
    }
    assert_eq!(world.fake.count(Op::Exec), 0);
}

#[tokio::test]
async fn anothers_sandbox_looks_like_one_that_does_not_exist() {
    let world = World::start().await;
    let client = world.client().await;
    let (_, theirs) = client.pair().await;
    let (mine, warm) = client.pair().await;
    client.exec(&mine, &warm, "print x").await.unwrap();
    for first in ["get", "exec", "delete"] {
        let mut answers = Vec::new();
        for sandbox_id in [theirs.clone(), uuid()] {
            let refused = match first {
                "get" => client.get(&mine, &sandbox_id).await.unwrap_err(),
                "exec" => client
                    .exec(&mine, &sandbox_id, "print x")
                    .await
                    .unwrap_err(),
                _ => client.delete(&mine, &sandbox_id).await.unwrap_err(),
            };
            assert_reason(&refused, Reason::SandboxNotFound, "ListSandboxes");
            answers.push((
                reason(&refused),
                refused.message().replace(&sandbox_id, "ID"),
            ));
        }
        assert_eq!(answers[0], answers[1]);
    }
    assert_eq!(world.fake.sandboxes().len(), 2);
}

#[tokio::test]
async fn a_route_that_was_used_does_not_open_it_to_other_sessions() {
    let world = World::start().await;
    let client = world.client().await;
    let (theirs, sandbox_id) = client.pair().await;
    let mine = client.session().await;
    client.exec(&theirs, &sandbox_id, "print x").await.unwrap();
    let refused = client
        .exec(&mine, &sandbox_id, "print x")
        .await
        .unwrap_err();
    assert_reason(&refused, Reason::SandboxNotFound, "");
    assert_eq!(world.fake.count(Op::Exec), 1);
}

#[tokio::test]
async fn malformed_ids_are_named() {
    let world = World::start().await;
    let client = world.client().await;
    let (session_id, sandbox_id) = client.pair().await;
    let long = "x".repeat(100_000);
    let simple = sandbox_id.replace('-', "");
    for wrong in [
        "x",
        " ",
        "@",
        "@a b",
        "@ü",
        "../../etc",
        "\0",
        &simple,
        &long,
    ] {
        let refused = client.get(&session_id, wrong).await.unwrap_err();
        assert_reason(&refused, Reason::InvalidField, "sandbox_id");
        let refused = client
            .exec(&session_id, wrong, "print x")
            .await
            .unwrap_err();
        assert_reason(&refused, Reason::InvalidField, "sandbox_id");
    }
    for wrong in ["", "x", "@alias", &long] {
        let refused = client.get(wrong, &sandbox_id).await.unwrap_err();
        assert_reason(&refused, Reason::InvalidField, "session_id");
        let refused = client
            .exec(wrong, &sandbox_id, "print x")
            .await
            .unwrap_err();
        assert_reason(&refused, Reason::InvalidField, "session_id");
    }
    let request = CreateSandboxRequest {
        session_id: session_id.clone(),
        request_id: "x".to_owned(),
        ..Default::default()
    };
    assert_reason(
        &client.create(request).await.unwrap_err(),
        Reason::InvalidField,
        "request_id",
    );
    client
        .exec(&session_id, &sandbox_id, "print x")
        .await
        .unwrap();
}

#[tokio::test]
async fn an_id_that_occurs_twice_is_refused() {
    let world = World::start().await;
    let (mine, sandbox_id) = world.client().await.pair().await;
    let (theirs, other) = world.client().await.pair().await;
    let raw = world.raw().await;
    let request = ExecRequest {
        session_id: mine.clone(),
        sandbox_id,
        command: "print x".to_owned(),
        ..Default::default()
    };
    for (tag, again, field) in [
        (0x0a, &theirs, "session_id"),
        (0x12, &other, "sandbox_id"),
        (0x0a, &mine, "session_id"),
    ] {
        let mut bytes = prost::Message::encode_to_vec(&request);
        bytes.extend([tag, 36]);
        bytes.extend(again.as_bytes());
        let refused = raw.call(EXEC, &[], frame(0, &bytes)).await.status();
        assert_reason(&refused, Reason::InvalidField, field);
    }
    assert_eq!(world.fake.count(Op::Exec), 0);
    assert_eq!(
        raw.call(EXEC, &[], framed(&request)).await.status().code(),
        tonic::Code::Ok
    );
}

/// What the gateway decodes itself cannot authorise one id and use another; but a request that says
/// two things is refused there too.
#[tokio::test]
async fn an_id_that_occurs_twice_never_reaches_another_sandbox() {
    let world = World::start().await;
    let (mine, sandbox_id) = world.client().await.pair().await;
    let (theirs, _) = world.client().await.pair().await;
    let raw = world.raw().await;
    let request = sandgate_proto::v1::GetSandboxRequest {
        session_id: mine,
        sandbox_id,
    };
    let mut bytes = prost::Message::encode_to_vec(&request);
    bytes.extend([0x0a, 36]);
    bytes.extend(theirs.as_bytes());
    let refused = raw.call(GET, &[], frame(0, &bytes)).await.status();
    assert_ne!(refused.code(), tonic::Code::Ok);
    reason(&refused);
}
