//! The opaque state of a provider: kept by the gateway, given back, never shown.

use sandgate_proto::{STATE_METADATA, v1::CreateSandboxRequest};
use sandgate_system::{Op, World};

#[tokio::test]
async fn it_comes_back_with_the_next_call_and_follows_every_change() {
    let world = World::start().await;
    let client = world.client().await;
    let (session_id, sandbox_id) = client.pair().await;
    client
        .exec(&session_id, &sandbox_id, "print x")
        .await
        .unwrap();
    client.stop(&session_id, &sandbox_id).await.unwrap();
    client.start(&session_id, &sandbox_id).await.unwrap();
    client
        .exec(&session_id, &sandbox_id, "print x")
        .await
        .unwrap();
    let state = |op| -> Vec<Vec<u8>> {
        world
            .fake
            .calls(op)
            .into_iter()
            .map(|call| call.state)
            .collect()
    };
    assert_eq!(state(Op::Create), [b"".to_vec()]);
    assert_eq!(state(Op::Stop), [b"s".to_vec()]);
    // Whether the answer of a stop counts is the kit's choice; that of a start does.
    assert_eq!(state(Op::Exec), [b"s".to_vec(), b"sss".to_vec()]);
}

#[tokio::test]
async fn callers_never_see_it() {
    let world = World::tapped().await;
    let client = world.client().await;
    let session_id = client.session().await;
    let request = CreateSandboxRequest {
        session_id: session_id.clone(),
        ..Default::default()
    };
    let created = client.sandboxes().create_sandbox(request).await.unwrap();
    assert!(
        world.tap().seen("CreateSandbox")[0]
            .response
            .contains_key(STATE_METADATA)
    );
    assert!(created.metadata().get_bin(STATE_METADATA).is_none());
    let sandbox_id = created.into_inner().sandbox.unwrap().sandbox_id;
    // Even where a provider sends it with a call that is relayed.
    world.tap().add(STATE_METADATA, "AAAA");
    let request = sandgate_proto::v1::ExecRequest {
        session_id,
        sandbox_id,
        command: "print x".to_owned(),
        ..Default::default()
    };
    let answer = client.sandboxes().exec(request).await.unwrap();
    assert!(answer.metadata().get_bin(STATE_METADATA).is_none());
}
