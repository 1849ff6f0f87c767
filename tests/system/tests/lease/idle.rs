//! What happens to a sandbox that has nothing to do, and what counts as work.

use sandgate_proto::v1::{Lifecycle, OnIdle, SandboxState};
use sandgate_system::Op;

use crate::stand::{Stand, secs};

fn idle(seconds: i64, on_idle: OnIdle) -> Lifecycle {
    Lifecycle {
        idle_timeout: secs(seconds),
        on_idle: on_idle.into(),
        ..Default::default()
    }
}

async fn becomes(stand: &Stand, on_idle: OnIdle, expected: SandboxState) {
    let sandbox_id = stand.make(idle(90, on_idle)).await;
    stand.pass_in(80, 20).await;
    let state = stand.state(&sandbox_id).await;
    assert_eq!(state, SandboxState::Running, "{on_idle:?}: too early");
    stand.pass(11).await;
    assert_eq!(stand.state(&sandbox_id).await, expected, "{on_idle:?}");
}

#[tokio::test]
async fn it_is_stopped_or_deleted_as_asked() {
    let stand = Stand::new().await;
    becomes(&stand, OnIdle::Stop, SandboxState::Stopped).await;
    becomes(&stand, OnIdle::Delete, SandboxState::Deleted).await;
    becomes(&stand, OnIdle::Unspecified, SandboxState::Stopped).await;
    assert_eq!(stand.world.fake.count(Op::Pause), 0);
}

#[tokio::test]
async fn it_is_paused_where_that_is_possible() {
    let stand = Stand::pausing().await;
    becomes(&stand, OnIdle::Stop, SandboxState::Stopped).await;
    becomes(&stand, OnIdle::Pause, SandboxState::Paused).await;
    becomes(&stand, OnIdle::Hibernate, SandboxState::Paused).await;
    becomes(&stand, OnIdle::Unspecified, SandboxState::Paused).await;
    let pauses = stand.world.fake.calls(Op::Pause);
    let hibernates: Vec<_> = pauses.iter().map(|call| call.hibernate).collect();
    assert_eq!(hibernates, [false, true, false]);
}

#[tokio::test]
async fn zero_is_never() {
    let stand = Stand::new().await;
    let life = Lifecycle {
        lease_ttl: secs(24 * 3600),
        ..idle(0, OnIdle::Stop)
    };
    let sandbox_id = stand.make(life).await;
    stand.pass_in(6 * 3600, 1800).await;
    let sandbox = stand.get(&sandbox_id).await;
    assert_eq!(sandbox.state(), SandboxState::Running);
    assert_eq!(sandbox.idle_deadline, None);
}

#[tokio::test]
async fn work_keeps_it_up_for_any_length_and_its_end_begins_the_clock() {
    let stand = Stand::new().await;
    let life = Lifecycle {
        lease_ttl: secs(120),
        ..idle(90, OnIdle::Stop)
    };
    let sandbox_id = stand.make(life).await;
    stand.start(&sandbox_id, "work", "hang").await;
    stand.pass_in(3600, 30).await;
    let sandbox = stand.get(&sandbox_id).await;
    assert_eq!(sandbox.state(), SandboxState::Running);
    assert_eq!(
        (sandbox.running_executions, sandbox.idle_deadline),
        (1, None)
    );
    stand.kill(&sandbox_id, "work").await;
    // The provider of this test tells the end by its own clock, so that only the last look counts.
    stand.pass_in(60, 10).await;
    let sandbox = stand.get(&sandbox_id).await;
    assert_eq!(sandbox.state(), SandboxState::Running, "too early");
    assert_eq!(sandbox.running_executions, 0);
    assert!(sandbox.idle_deadline.is_some());
    stand.pass_in(32, 16).await;
    let sandbox = stand.get(&sandbox_id).await;
    assert_eq!(sandbox.state(), SandboxState::Stopped);
}
