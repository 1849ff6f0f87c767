//! Comparisons that a gateway makes by itself.

use std::time::Duration;

use sandgate_gateway::Pace;
use sandgate_proto::v1::SandboxState;
use sandgate_system::{Fake, Op, Plan, World, eventually, uuid};

use crate::{
    calls::Named,
    reconcile::{reconcile, stranger},
};

const OLD: Duration = Duration::from_secs(3600);

fn plan(compare: Duration) -> Plan {
    Plan {
        pace: Pace {
            interval: Duration::from_millis(20),
            first_retry: Duration::from_millis(50),
            compare,
            ..Pace::default()
        },
        ..Plan::default()
    }
}

#[tokio::test]
async fn again_and_again() {
    let world = World::with(plan(Duration::from_millis(200))).await;
    let client = world.client().await;
    let known = Named::running(&client).await;
    for _ in 0..2 {
        let orphan = stranger(&uuid(), OLD);
        world.fake.add(orphan.clone());
        let is_there = || world.fake.sandboxes().contains(&orphan.sandbox_id);
        eventually("the stranger goes", || !is_there()).await;
    }
    assert_eq!(world.fake.sandboxes(), [known.sandbox_id]);
}

#[tokio::test]
async fn at_every_start() {
    let world = World::with(plan(Duration::from_secs(86_400))).await;
    let client = world.client().await;
    eventually("the first", || world.fake.count(Op::List) > 0).await;
    let known = Named::running(&client).await;
    let (orphan, adopted) = (stranger(&uuid(), OLD), stranger(&known.session_id, OLD));
    world.fake.add(orphan.clone());
    world.fake.add(adopted.clone());
    let world = world.restarted(Duration::ZERO).await;
    let is_there = || world.fake.sandboxes().contains(&orphan.sandbox_id);
    eventually("the stranger goes", || !is_there()).await;
    let client = world.client().await;
    let adopted = Named {
        sandbox_id: adopted.sandbox_id,
        ..known.at(&client)
    };
    // It may still be at it.
    reconcile(&client, Fake::ID, false).await.unwrap();
    assert_eq!(adopted.state().await, SandboxState::Running);
}
