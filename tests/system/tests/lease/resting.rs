//! How long a sandbox is kept that was brought to rest.

use sandgate_proto::v1::{Lifecycle, PauseSandboxRequest, SandboxState};
use sandgate_system::Op;

use crate::{
    abandoned::renew,
    stand::{Stand, millis, secs},
};

const LIFE: Lifecycle = Lifecycle {
    idle_timeout: None,
    on_idle: 0,
    lease_ttl: None,
    stopped_retention: Some(prost_types::Duration {
        seconds: 600,
        nanos: 0,
    }),
    max_lifetime: None,
    auto_start: None,
};

async fn rests(stand: &Stand, sandbox_id: &str) {
    let state = stand.state(sandbox_id).await;
    let begun = stand.now();
    let sandbox = stand.get(sandbox_id).await;
    let deadline = millis(sandbox.lease_expire_time).unwrap();
    assert!((deadline - begun - 600_000).abs() < 1000);
    assert_eq!(sandbox.idle_deadline, None);
    stand.pass_in(500, 100).await;
    assert_eq!(stand.state(sandbox_id).await, state);
    // It is still wanted, and is not woken.
    renew(stand, sandbox_id).await;
    stand.pass_in(500, 100).await;
    assert_eq!(stand.state(sandbox_id).await, state);
    stand.pass(102).await;
    assert_eq!(stand.state(sandbox_id).await, SandboxState::Deleted);
    for op in [Op::Start, Op::Resume, Op::Reach] {
        assert_eq!(stand.world.fake.count(op), 0, "{op:?}");
    }
    assert!(stand.world.fake.sandboxes().is_empty());
}

#[tokio::test]
async fn a_stopped_one_is_deleted_after_its_retention() {
    let stand = Stand::new().await;
    let sandbox_id = stand.make(LIFE).await;
    stand
        .client
        .stop(&stand.session_id, &sandbox_id)
        .await
        .unwrap();
    stand.world.fake.forget_calls();
    rests(&stand, &sandbox_id).await;
}

#[tokio::test]
async fn a_paused_one_too() {
    let stand = Stand::pausing().await;
    let sandbox_id = stand.make(LIFE).await;
    let pause = PauseSandboxRequest {
        session_id: stand.session_id.clone(),
        sandbox_id: sandbox_id.clone(),
        ..Default::default()
    };
    stand.client.sandboxes().pause_sandbox(pause).await.unwrap();
    stand.world.fake.forget_calls();
    rests(&stand, &sandbox_id).await;
}

#[tokio::test]
async fn one_that_broke_is_deleted_with_its_lease() {
    let stand = Stand::new().await;
    let life = Lifecycle {
        lease_ttl: secs(300),
        ..LIFE
    };
    let sandbox_id = stand.make(life).await;
    stand.world.fake.lose(&sandbox_id);
    stand.pass(101).await;
    let row = stand.row(&sandbox_id).await;
    assert_eq!(row.state(), SandboxState::Failed);
    assert_eq!(row.reason_code, "SANDBOX_NOT_FOUND");
    stand.pass_in(280, 70).await;
    assert_eq!(stand.state(&sandbox_id).await, SandboxState::Failed);
    stand.pass(22).await;
    assert_eq!(stand.state(&sandbox_id).await, SandboxState::Deleted);
}

#[tokio::test]
async fn nothing_runs_in_what_was_stopped() {
    let stand = Stand::new().await;
    let sandbox_id = stand.make(LIFE).await;
    stand.start(&sandbox_id, "work", "hang").await;
    stand.pass(401).await;
    assert_eq!(stand.get(&sandbox_id).await.running_executions, 1);
    let stopped = stand.client.stop(&stand.session_id, &sandbox_id).await;
    assert_eq!(stopped.unwrap().running_executions, 0);
}
