//! How long callers wait for a sandbox to come up.

use prost_types::Duration;
use sandgate_proto::{Reason, v1::SandboxState};
use sandgate_system::{Act, Op, World, assert_reason, eventually};

use crate::{
    calls::{Named, millis, seconds},
    pair::pausing,
};

#[tokio::test]
async fn a_start_answers_in_starting_and_goes_on() {
    let world = World::start().await;
    let one = Named::running(&world.client().await).await;
    for wait in [Duration::default(), millis(50)] {
        one.stop().await.unwrap();
        world.fake.set(Op::Start, Act::Hang);
        let started = one.start_within(wait).await.unwrap();
        let on_its_way = [SandboxState::Starting, SandboxState::Stopped];
        assert!(on_its_way.contains(&started.state()), "{started:?}");
        eventually("it goes on", || world.fake.pending(Op::Start) == 1).await;
        assert_eq!(one.state().await, SandboxState::Starting);
        world.fake.mend(Op::Start);
        one.reaches(SandboxState::Running).await;
    }
    assert_eq!(world.fake.count(Op::Start), 2);
    let refused = one.start_within(millis(-1)).await.unwrap_err();
    assert_reason(&refused, Reason::InvalidField, "wait_timeout");
}

#[tokio::test]
async fn a_resume_answers_in_starting_and_goes_on() {
    let world = World::with(pausing()).await;
    let one = Named::running(&world.client().await).await;
    one.pause(false).await.unwrap();
    world.fake.set(Op::Resume, Act::Hang);
    let resumed = one.resume_as(Some(millis(200)), Some(seconds(77)));
    let resumed = resumed.await.unwrap();
    assert_eq!(resumed.state(), SandboxState::Starting);
    world.fake.mend(Op::Resume);
    let running = one.reaches(SandboxState::Running).await;
    let lifecycle = running.spec.unwrap().lifecycle.unwrap();
    assert_eq!(lifecycle.idle_timeout, Some(seconds(77)));
    assert_eq!(world.fake.count(Op::Resume), 1);
    let refused = one.resume_as(None, Some(millis(10))).await.unwrap_err();
    assert_reason(&refused, Reason::InvalidField, "idle_timeout");
}
