//! Commands that find their sandbox at rest.

use std::time::Duration;

use futures::future::join_all;
use sandgate_proto::{
    Reason,
    v1::{Lifecycle, SandboxState},
};
use sandgate_system::{Act, Op, World, assert_reason};

use crate::{
    calls::Named,
    pair::{Pair, pausing},
};

const A_WHILE: Act = Act::Work(Duration::from_millis(200));

async fn twenty(of: impl Fn(usize) -> Named) {
    let named: Vec<_> = (0..20).map(of).collect();
    for ran in join_all(named.iter().map(|one| one.exec("print x"))).await {
        assert_eq!(ran.unwrap(), b"x");
    }
}

#[tokio::test]
async fn twenty_at_a_stopped_or_paused_one_bring_it_up_once() {
    let world = World::with(pausing()).await;
    let one = Named::running(&world.client().await).await;
    one.stop().await.unwrap();
    world.fake.set(Op::Start, A_WHILE);
    twenty(|_| one.clone()).await;
    one.pause(false).await.unwrap();
    world.fake.set(Op::Resume, A_WHILE);
    twenty(|_| one.clone()).await;
    let asked = (world.fake.count(Op::Start), world.fake.count(Op::Resume));
    assert_eq!(asked, (1, 1));
    assert_eq!(one.state().await, SandboxState::Running);
}

#[tokio::test]
async fn twenty_at_two_gateways_are_all_served() {
    let pair = Pair::with(pausing()).await;
    let one = Named::running(pair.client(0)).await;
    one.stop().await.unwrap();
    pair.world.fake.set(Op::Start, A_WHILE);
    twenty(|number| one.at(pair.client(number))).await;
    one.pause(false).await.unwrap();
    pair.world.fake.set(Op::Resume, A_WHILE);
    twenty(|number| one.at(pair.client(number))).await;
    assert_eq!(one.state().await, SandboxState::Running);
}

#[tokio::test]
async fn where_it_is_switched_off_a_command_is_refused() {
    let world = World::with(pausing()).await;
    let lifecycle = Lifecycle {
        auto_start: Some(false),
        ..Default::default()
    };
    let one = Named::living(&world.client().await, Some(lifecycle)).await;
    one.pause(false).await.unwrap();
    let refused = one.exec("print x").await.unwrap_err();
    assert_reason(&refused, Reason::SandboxNotRunning, "StartSandbox");
    assert_eq!(one.state().await, SandboxState::Paused);
    one.stop().await.unwrap();
    let refused = one.exec("print x").await.unwrap_err();
    assert_reason(&refused, Reason::SandboxNotRunning, "StartSandbox");
    let asked = (world.fake.count(Op::Start), world.fake.count(Op::Resume));
    assert_eq!(asked, (0, 0));
    one.start().await.unwrap();
    assert_eq!(one.exec("print x").await.unwrap(), b"x");
}
