//! A provider that does not say what runs, or is lost over it, keeps nobody from stopping or deleting.

use std::time::{Duration, Instant};

use futures::future::join;
use sandgate_gateway::Pace;
use sandgate_kit::Kind;
use sandgate_proto::{
    Outcome,
    v1::{SandboxState, StopSandboxRequest},
};
use sandgate_system::{Act, Op, Plan, World, eventually};

use crate::{
    calls::{Named, seconds},
    matrix::stored,
};

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

async fn lossy() -> World {
    World::with(Plan {
        link: true,
        pace: Pace {
            first_retry: Duration::from_millis(200),
            ..Pace::default()
        },
        ..Plan::default()
    })
    .await
}

#[tokio::test]
async fn one_whose_provider_is_lost_while_it_ends_what_runs_is_stopped_later() {
    let world = lossy().await;
    let one = Named::running(&world.client().await).await;
    world.fake.set(Op::Renew, Act::Hang);
    let stop = tokio::spawn({
        let one = one.clone();
        async move { one.stop().await }
    });
    eventually("it is asked", || world.fake.pending(Op::Renew) == 1).await;
    world.link().refuse().await;
    stop.await.unwrap().unwrap_err();
    assert_eq!(stored(&one).await, SandboxState::Stopping);
    world.fake.mend(Op::Renew);
    world.link().mend().await;
    one.reaches(SandboxState::Stopped).await;
}

#[tokio::test]
async fn one_whose_provider_was_not_there_runs_on() {
    let world = lossy().await;
    let one = Named::running(&world.client().await).await;
    world.link().refuse().await;
    // Finds out that the old connection has ended.
    one.get().await.unwrap();
    one.stop().await.unwrap_err();
    assert_eq!(stored(&one).await, SandboxState::Running);
    world.link().mend().await;
    one.reaches(SandboxState::Running).await;
    assert_eq!(one.exec("print x").await.unwrap(), b"x");
    assert_eq!(world.fake.count(Op::Stop), 0);
}
