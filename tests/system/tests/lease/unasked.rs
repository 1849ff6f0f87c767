//! Nothing that runs is stopped by a clock unless it was asked and has nothing to do.

use sandgate_kit::Kind;
use sandgate_proto::{
    Outcome,
    v1::{Lifecycle, OnIdle, SandboxState},
};
use sandgate_system::{Act, Op};

use crate::stand::{Stand, secs};

fn life(on_idle: OnIdle) -> Lifecycle {
    Lifecycle {
        idle_timeout: secs(90),
        lease_ttl: secs(24 * 3600),
        on_idle: on_idle.into(),
        ..Default::default()
    }
}

#[tokio::test]
async fn one_that_cannot_be_asked_is_left_alone_and_asked_ever_more_rarely() {
    let stand = Stand::new().await;
    let fake = &stand.world.fake;
    let sandbox_id = stand.make(life(OnIdle::Stop)).await;
    fake.set(Op::Renew, Act::Fail(Kind::Unavailable(Outcome::Rejected)));
    let mut tries = Vec::new();
    for _ in 0..6 {
        fake.forget_calls();
        stand.pass_in(600, 5).await;
        tries.push(fake.count(Op::Renew));
    }
    assert_eq!(stand.state(&sandbox_id).await, SandboxState::Running);
    assert!(tries[0] <= 10 && tries[0] > tries[1], "{tries:?}");
    assert!(tries[1] >= tries[5] && tries[5] <= 1, "{tries:?}");
    assert!(tries.iter().sum::<usize>() > tries[0] + 2, "{tries:?}");
    assert_eq!(fake.count(Op::Stop), 0);
    fake.mend(Op::Renew);
    stand
        .until_state(&sandbox_id, SandboxState::Stopped, 60, 11)
        .await;
}

#[tokio::test]
async fn a_stop_that_fails_is_tried_ever_more_rarely() {
    let stand = Stand::pausing().await;
    let fake = &stand.world.fake;
    for (on_idle, op, end) in [
        (OnIdle::Stop, Op::Stop, SandboxState::Stopped),
        (OnIdle::Pause, Op::Pause, SandboxState::Paused),
    ] {
        let sandbox_id = stand.make(life(on_idle)).await;
        fake.set(op, Act::Fail(Kind::Unavailable(Outcome::Rejected)));
        fake.forget_calls();
        stand.pass_in(1800, 5).await;
        let tries = fake.count(op);
        assert!((5..=14).contains(&tries), "{op:?}: {tries}");
        fake.mend(op);
        stand.until_state(&sandbox_id, end, 60, 11).await;
    }
}

#[tokio::test]
async fn one_whose_stop_failed_can_be_used_again() {
    let stand = Stand::new().await;
    let sandbox_id = stand.make(life(OnIdle::Stop)).await;
    let down = Kind::Unavailable(Outcome::Rejected);
    stand.world.fake.set(Op::Stop, Act::Fail(down));
    let stopped = stand.client.stop(&stand.session_id, &sandbox_id).await;
    stopped.unwrap_err();
    stand.world.fake.mend(Op::Stop);
    stand.use_it(&sandbox_id).await;
    assert_eq!(stand.state(&sandbox_id).await, SandboxState::Running);
}

/// A command begins while the gateway waits for the answer to its second question.
async fn called_off(stand: &Stand, on_idle: OnIdle) {
    let fake = &stand.world.fake;
    let sandbox_id = stand.make(life(on_idle)).await;
    stand.pass_in(84, 28).await;
    fake.set(Op::Renew, Act::Hang);
    fake.forget_calls();
    stand.move_clock(std::time::Duration::from_secs(7));
    stand
        .soon("it is asked", || fake.pending(Op::Renew) == 1)
        .await;
    // The first question is answered, the second one hangs again.
    fake.once(Op::Renew);
    stand
        .soon("it is asked again", || fake.count(Op::Renew) == 2)
        .await;
    fake.begin(&sandbox_id, "work", "hang");
    fake.mend(Op::Renew);
    stand.settle().await;
    stand.pass_in(600, 20).await;
    assert_eq!(stand.state(&sandbox_id).await, SandboxState::Running);
    assert_eq!(fake.live(), 1, "{on_idle:?}");
    stand.kill(&sandbox_id, "work").await;
    let ended = async || {
        let state = stand.state(&sandbox_id).await;
        state != SandboxState::Running
    };
    stand.until(20, 6, "its clock runs again", ended).await;
}

#[tokio::test]
async fn a_command_that_comes_in_between_calls_it_off() {
    let stand = Stand::pausing().await;
    for on_idle in [OnIdle::Stop, OnIdle::Pause, OnIdle::Delete] {
        called_off(&stand, on_idle).await;
    }
}
