//! The way of a first command: session, sandbox, stream, delete.

use sandgate_proto::{Reason, v1::SandboxState};
use sandgate_system::{Op, World, assert_reason};

#[tokio::test]
async fn a_command_runs_from_end_to_end() {
    let world = World::start().await;
    let client = world.client().await;
    let (session_id, sandbox_id) = client.pair().await;
    let sandbox = client.get(&session_id, &sandbox_id).await.unwrap();
    assert_eq!(sandbox.state(), SandboxState::Running);
    assert_eq!(sandbox.session_id, session_id);
    assert_eq!(sandbox.provider, "fake");
    assert_eq!(sandbox.provider_sandbox_id, format!("fake-{sandbox_id}"));
    assert_eq!(sandbox.workspace_path, "/workspace");

    let ran = client
        .exec(&session_id, &sandbox_id, "print hello; exit 3")
        .await
        .unwrap();
    assert_eq!(ran.stdout, b"hello");
    assert_eq!(ran.exit_code(), Some(3));
    assert_eq!(ran.ended.stdout.unwrap().bytes, 5);
    assert_eq!(ran.sandbox_id, sandbox_id);

    let gone = client.delete(&session_id, &sandbox_id).await.unwrap();
    assert_eq!(gone.state(), SandboxState::Deleted);
    assert!(world.fake.sandboxes().is_empty());
    let refused = client
        .exec(&session_id, &sandbox_id, "print x")
        .await
        .unwrap_err();
    assert_reason(&refused, Reason::SandboxNotFound, "ListSandboxes");
}

#[tokio::test]
async fn output_of_every_size_arrives_whole() {
    let world = World::start().await;
    let client = world.client().await;
    let (session_id, sandbox_id) = client.pair().await;
    for (script, bytes) in [
        ("repeat 30000 20", 600_000),
        ("repeat 40 1000000", 40_000_000),
    ] {
        let ran = client.exec(&session_id, &sandbox_id, script).await.unwrap();
        assert_eq!(ran.stdout.len(), bytes);
        assert!(ran.stdout.iter().all(|byte| *byte == b'x'));
        assert_eq!(ran.ended.stdout.unwrap().bytes, bytes as u64);
    }
}

#[tokio::test]
async fn the_provider_learns_whose_call_it_is() {
    let world = World::start().await;
    let client = world.client().await;
    let (session_id, sandbox_id) = client.pair().await;
    client
        .exec(&session_id, &sandbox_id, "print x")
        .await
        .unwrap();
    let create = world.fake.calls(Op::Create).remove(0).context;
    let exec = world.fake.calls(Op::Exec).remove(0).context;
    for context in [&create, &exec] {
        assert_eq!(context.owner.session_id, session_id);
        assert_eq!(context.sandbox_id, sandbox_id);
        assert_eq!(context.owner.org_id, "dev");
        assert_eq!(context.owner.user_id, "dev");
        assert_eq!(context.generation, 1);
        assert_eq!(context.owner.gateway_id.len(), 36, "{context:?}");
        assert!(context.credential.is_none());
    }
    assert_eq!(create.owner, exec.owner);
    assert_eq!(create.provider_sandbox_id, "");
    assert_eq!(exec.provider_sandbox_id, format!("fake-{sandbox_id}"));
}
