//! Clocks that are set, and gateways that were away: the clocks of sandboxes begin anew.

use std::time::Duration;

use sandgate_proto::v1::{Lifecycle, OnIdle, PauseSandboxRequest, SandboxState};

use crate::stand::{Stand, secs};

const LIFE: Lifecycle = Lifecycle {
    idle_timeout: Some(prost_types::Duration {
        seconds: 600,
        nanos: 0,
    }),
    on_idle: OnIdle::Delete as i32,
    lease_ttl: Some(prost_types::Duration {
        seconds: 600,
        nanos: 0,
    }),
    stopped_retention: Some(prost_types::Duration {
        seconds: 600,
        nanos: 0,
    }),
    max_lifetime: None,
    auto_start: None,
};

/// One in each state that lasts.
async fn all(stand: &Stand) -> Vec<(String, SandboxState)> {
    let mut made = Vec::new();
    for _ in 0..4 {
        made.push(stand.make(LIFE).await);
    }
    let [running, stopped, paused, failed] = made.try_into().unwrap();
    stand.use_it(&running).await;
    let session_id = stand.session_id.clone();
    stand.client.stop(&session_id, &stopped).await.unwrap();
    let pause = PauseSandboxRequest {
        session_id,
        sandbox_id: paused.clone(),
        ..Default::default()
    };
    stand.client.sandboxes().pause_sandbox(pause).await.unwrap();
    stand.world.fake.lose(&failed);
    stand.get(&failed).await;
    vec![
        (running, SandboxState::Running),
        (stopped, SandboxState::Stopped),
        (paused, SandboxState::Paused),
        (failed, SandboxState::Failed),
    ]
}

async fn all_are_there(stand: &Stand, all: &[(String, SandboxState)]) {
    for (sandbox_id, state) in all {
        assert_eq!(stand.state(sandbox_id).await, *state);
    }
}

async fn all_go_in_time(stand: &Stand, all: &[(String, SandboxState)]) {
    stand.pass_in(560, 40).await;
    // What was compared meanwhile is gone for another reason.
    all_are_there(stand, &all[..3]).await;
    stand.pass_in(60, 20).await;
    for (sandbox_id, was) in all {
        assert_eq!(
            stand.state(sandbox_id).await,
            SandboxState::Deleted,
            "{was:?}"
        );
    }
    assert!(stand.world.fake.sandboxes().is_empty());
}

#[tokio::test]
async fn a_clock_that_is_set_stops_nothing_and_leaves_nothing() {
    for jump in [3_600_000, -3_600_000] {
        let stand = Stand::pausing().await;
        let all = all(&stand).await;
        stand.pass_in(500, 50).await;
        stand.jump(jump).await;
        stand.settle().await;
        all_are_there(&stand, &all).await;
        all_go_in_time(&stand, &all).await;
    }
}

#[tokio::test]
async fn a_clock_that_is_set_during_a_look_stops_nothing() {
    use sandgate_system::{Act, Op};
    let stand = Stand::new().await;
    let sandbox_id = stand.make(LIFE).await;
    let fake = &stand.world.fake;
    fake.set(Op::Renew, Act::Hang);
    stand.move_clock(Duration::from_secs(201));
    stand
        .soon("it is looked at", || fake.pending(Op::Renew) == 1)
        .await;
    // Nobody but the look itself can see it.
    stand.set_clock(3_600_000);
    fake.mend(Op::Renew);
    stand
        .soon("that is answered", || fake.pending(Op::Renew) == 0)
        .await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    stand.awake().await;
    stand.settle().await;
    assert_eq!(stand.state(&sandbox_id).await, SandboxState::Running);
}

#[tokio::test]
async fn nobody_was_awake() {
    let stand = Stand::pausing().await;
    let all = all(&stand).await;
    stand.pass_in(500, 50).await;
    let stand = stand.restarted(Duration::from_secs(600)).await;
    stand.pass(1).await;
    all_are_there(&stand, &all[..3]).await;
    all_go_in_time(&stand, &all).await;
}

#[tokio::test]
async fn a_short_absence_is_none() {
    let stand = Stand::new().await;
    let life = Lifecycle {
        lease_ttl: secs(200),
        ..LIFE
    };
    let sandbox_id = stand.make(life).await;
    stand.pass_in(160, 40).await;
    let stand = stand.restarted(Duration::from_secs(45)).await;
    stand
        .until_state(&sandbox_id, SandboxState::Deleted, 5, 10)
        .await;
}
