//! Each call of a sandbox's life, repeated and out of place.

use sandgate_proto::{Reason, v1::SandboxState};
use sandgate_system::{Op, World, assert_reason, fact};

use crate::{calls::Named, pair::pausing};

#[tokio::test]
async fn every_call_may_be_repeated() {
    let world = World::with(pausing()).await;
    let one = Named::running(&world.client().await).await;
    for _ in 0..3 {
        assert_eq!(one.start().await.unwrap().state(), SandboxState::Running);
        assert_eq!(one.resume().await.unwrap().state(), SandboxState::Running);
        one.renew("").await.unwrap();
    }
    for _ in 0..3 {
        let paused = one.pause(false).await.unwrap();
        assert_eq!(paused.state(), SandboxState::Paused);
    }
    for _ in 0..3 {
        assert_eq!(one.resume().await.unwrap().state(), SandboxState::Running);
    }
    for _ in 0..3 {
        assert_eq!(one.stop().await.unwrap().state(), SandboxState::Stopped);
    }
    for _ in 0..3 {
        assert_eq!(one.start().await.unwrap().state(), SandboxState::Running);
    }
    for _ in 0..3 {
        assert_eq!(one.delete().await.unwrap().state(), SandboxState::Deleted);
    }
    for op in [Op::Pause, Op::Resume, Op::Stop, Op::Start, Op::Delete] {
        assert_eq!(world.fake.count(op), 1, "{op:?}");
    }
    let refusals = [
        one.start().await.err(),
        one.resume().await.err(),
        one.pause(false).await.err(),
        one.stop().await.err(),
        one.renew("").await.err(),
    ];
    for refused in refusals {
        assert_reason(&refused.unwrap(), Reason::SandboxNotRunning, "");
    }
}

#[tokio::test]
async fn a_stopped_one_cannot_be_paused_and_is_resumed_by_a_start() {
    let world = World::with(pausing()).await;
    let one = Named::running(&world.client().await).await;
    one.stop().await.unwrap();
    for hibernate in [false, true] {
        let refused = one.pause(hibernate).await.unwrap_err();
        assert_reason(&refused, Reason::SandboxNotRunning, "StartSandbox");
        assert_eq!(fact(&refused, "state").as_deref(), Some("STOPPED"));
    }
    assert_eq!(one.state().await, SandboxState::Stopped);
    assert_eq!(one.resume().await.unwrap().state(), SandboxState::Running);
    let asked = (world.fake.count(Op::Start), world.fake.count(Op::Resume));
    assert_eq!(asked, (1, 0));
    // And a paused one is stopped, or started by what brings it back.
    one.pause(false).await.unwrap();
    assert_eq!(one.stop().await.unwrap().state(), SandboxState::Stopped);
    one.start().await.unwrap();
    one.pause(true).await.unwrap();
    assert!(world.fake.calls(Op::Pause)[1].hibernate);
    assert_eq!(one.start().await.unwrap().state(), SandboxState::Running);
    assert_eq!(world.fake.count(Op::Resume), 1);
}

#[tokio::test]
async fn a_provider_that_cannot_pause_says_so_and_is_left_running() {
    let world = World::start().await;
    let one = Named::running(&world.client().await).await;
    for hibernate in [false, true] {
        let refused = one.pause(hibernate).await.unwrap_err();
        assert_reason(&refused, Reason::CapabilityUnsupported, "");
        let wanted = if hibernate { "hibernate" } else { "pause" };
        assert_eq!(fact(&refused, "capability").as_deref(), Some(wanted));
    }
    assert_eq!(one.state().await, SandboxState::Running);
    assert_eq!(one.exec("print x").await.unwrap(), b"x");
}
