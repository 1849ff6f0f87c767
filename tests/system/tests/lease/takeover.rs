//! What a gateway was doing when it went is finished by the next one, and by nobody while it lives.

use sandgate_proto::v1::{CreateSandboxRequest, Lifecycle, SandboxState};
use sandgate_system::{Act, Client, Op, eventually, uuid};

use crate::stand::Stand;

/// A sandbox that was left on its way.
async fn is_finished(way: SandboxState, op: Op, end: SandboxState) {
    let stand = Stand::pausing().await;
    let fake = &stand.world.fake;
    let sandbox_id = stand.make(Lifecycle::default()).await;
    match way {
        SandboxState::Creating => fake.lose(&sandbox_id),
        SandboxState::Starting => {
            let stopped = stand.client.stop(&stand.session_id, &sandbox_id).await;
            stopped.unwrap();
        }
        _ => {}
    }
    fake.forget_calls();
    stand.leave(&sandbox_id, way).await;
    stand.pass_in(8, 2).await;
    assert_eq!(stand.state(&sandbox_id).await, way, "it may be held");
    assert_eq!(fake.count(op), 0);
    stand.until_state(&sandbox_id, end, 1, 4).await;
    assert_eq!(fake.count(op), 1);
    assert_eq!(
        fake.states().len(),
        usize::from(end != SandboxState::Deleted)
    );
    assert!(fake.states().iter().all(|(_, state)| *state == end));
}

#[tokio::test]
async fn a_create_and_a_start_are_finished() {
    use SandboxState::{Creating, Running, Starting};
    is_finished(Creating, Op::Create, Running).await;
    is_finished(Starting, Op::Start, Running).await;
}

#[tokio::test]
async fn a_stop_a_pause_and_a_delete_are_finished() {
    use SandboxState::{Deleted, Deleting, Paused, Pausing, Stopped, Stopping};
    is_finished(Stopping, Op::Stop, Stopped).await;
    is_finished(Pausing, Op::Pause, Paused).await;
    is_finished(Deleting, Op::Delete, Deleted).await;
}

#[tokio::test]
async fn what_a_live_gateway_does_is_not_taken_over() {
    let stand = Stand::new().await;
    let other = stand.world.beside().await;
    let elsewhere = Client::connect(other.address()).await;
    let request = CreateSandboxRequest {
        sandbox_id: uuid(),
        ..stand.request(Lifecycle::default())
    };
    let sandbox_id = request.sandbox_id.clone();
    stand.world.fake.set(Op::Create, Act::Hang);
    let client = stand.client.clone();
    let call = tokio::spawn(async move { client.create(request).await });
    eventually("it hangs", || stand.world.fake.pending(Op::Create) == 1).await;
    for jump in [0, 3_600_000, -3_600_000] {
        if jump != 0 {
            stand.jump(jump).await;
        }
        for _ in 0..20 {
            stand.pass(2).await;
            is_held(&stand, &sandbox_id).await;
        }
        assert_eq!(stand.state(&sandbox_id).await, SandboxState::Creating);
        assert_eq!(stand.world.fake.count(Op::Create), 1, "{jump}");
    }
    stand.world.fake.mend(Op::Create);
    call.await.unwrap().unwrap();
    let made = elsewhere.get(&stand.session_id, &sandbox_id).await.unwrap();
    assert_eq!(made.state(), SandboxState::Running);
    assert_eq!(stand.world.fake.count(Op::Create), 1);
}

/// Whoever works on it has said so lately.
async fn is_held(stand: &Stand, sandbox_id: &str) {
    for _ in 0..2000 {
        let due = stand.row(sandbox_id).await.due_time.unwrap();
        if due - stand.now() > 5_000 {
            return;
        }
        stand.move_clock(std::time::Duration::from_millis(1));
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    panic!("nobody holds it");
}

#[tokio::test]
async fn whoever_comes_second_leaves_what_the_first_has_made() {
    let stand = Stand::new().await;
    let sandbox_id = uuid();
    let request = CreateSandboxRequest {
        sandbox_id: sandbox_id.clone(),
        ..stand.request(Lifecycle::default())
    };
    let fake = &stand.world.fake;
    fake.set(Op::Create, Act::Hang);
    let client = stand.client.clone();
    let call = tokio::spawn(async move { client.create(request).await });
    eventually("it hangs", || fake.pending(Op::Create) == 1).await;
    // As if this one had been away for long, and another one had been faster.
    stand.leave(&sandbox_id, SandboxState::Running).await;
    fake.mend(Op::Create);
    let made = call.await.unwrap().unwrap().sandbox.unwrap();
    assert_eq!(made.state(), SandboxState::Running);
    assert_eq!(fake.sandboxes(), [sandbox_id]);
}
