//! A provider that does not say what runs keeps nobody from stopping or deleting.

use std::time::{Duration, Instant};

use futures::future::join;
use sandgate_kit::Kind;
use sandgate_proto::{
    Outcome,
    v1::{SandboxState, StopSandboxRequest},
};
use sandgate_system::{Act, Op, World};

use crate::calls::{Named, seconds};

/// More than the gateway waits, and far less than the deadline of these calls.
const BOUND: Duration = Duration::from_secs(40);

async fn stop_at_once(one: &Named) -> SandboxState {
    let request = StopSandboxRequest {
        session_id: one.session_id.clone(),
        sandbox_id: one.sandbox_id.clone(),
        grace_timeout: Some(seconds(0)),
        ..Default::default()
    };
    let stopped = one.client.sandboxes().stop_sandbox(request).await.unwrap();
    stopped.into_inner().sandbox.unwrap().state()
}

#[tokio::test]
async fn one_that_hangs_is_stopped_and_deleted_in_a_while() {
    let world = World::start().await;
    let client = world.client().await;
    let (stopped, deleted) = (Named::running(&client).await, Named::running(&client).await);
    world.fake.set(Op::Renew, Act::Hang);
    let begun = Instant::now();
    let (state, gone) = join(stop_at_once(&stopped), deleted.delete()).await;
    assert_eq!(state, SandboxState::Stopped);
    assert_eq!(gone.unwrap().state(), SandboxState::Deleted);
    assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
    assert_eq!(world.fake.sandboxes(), [stopped.sandbox_id]);
}

#[tokio::test]
async fn one_that_fails_is_stopped_and_deleted_at_once() {
    let world = World::start().await;
    let one = Named::running(&world.client().await).await;
    let fault = Kind::Unavailable(Outcome::Rejected);
    world.fake.set(Op::Renew, Act::Fail(fault));
    let begun = Instant::now();
    assert_eq!(one.stop().await.unwrap().state(), SandboxState::Stopped);
    assert_eq!(one.delete().await.unwrap().state(), SandboxState::Deleted);
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert!(world.fake.sandboxes().is_empty());
}
