//! Two gateways on one store: each thing is done once, and what one sees the other minds.

use std::{collections::BTreeSet, time::Duration};

use sandgate_proto::v1::{Lifecycle, OnIdle, SandboxState};
use sandgate_system::{Client, Op};
use tokio::time::sleep;

use crate::{
    abandoned::lease,
    stand::{Stand, secs},
};

const MANY: usize = 10;

async fn many(stand: &Stand, life: Lifecycle) -> Vec<String> {
    let mut made = Vec::new();
    for _ in 0..MANY {
        made.push(stand.make(life).await);
    }
    made
}

#[tokio::test]
async fn each_look_is_made_once() {
    let stand = Stand::new().await;
    let _other = stand.world.beside().await;
    // Looked at every 100 s.
    many(&stand, lease(300)).await;
    stand.world.fake.forget_calls();
    for _ in 0..2 {
        stand.pass(101).await;
        assert_eq!(stand.world.fake.count(Op::Renew) % MANY, 0);
    }
    assert_eq!(stand.world.fake.count(Op::Renew), 2 * MANY);
}

#[tokio::test]
async fn each_is_stopped_and_deleted_once() {
    let stand = Stand::new().await;
    let _other = stand.world.beside().await;
    let stopped = Lifecycle {
        idle_timeout: secs(90),
        on_idle: OnIdle::Stop.into(),
        stopped_retention: secs(200),
        ..Default::default()
    };
    let stopped = many(&stand, stopped).await;
    let deleted = many(&stand, lease(100)).await;
    stand.pass_in(105, 35).await;
    for sandbox_id in &stopped {
        assert_eq!(stand.state(sandbox_id).await, SandboxState::Stopped);
    }
    for sandbox_id in &deleted {
        assert_eq!(stand.state(sandbox_id).await, SandboxState::Deleted);
    }
    assert_eq!(stand.world.fake.count(Op::Stop), MANY);
    assert_eq!(stand.world.fake.count(Op::Delete), MANY);
    stand.pass_in(210, 70).await;
    assert_eq!(stand.world.fake.count(Op::Delete), 2 * MANY);
    assert!(stand.world.fake.sandboxes().is_empty());
}

#[tokio::test]
async fn a_use_at_one_keeps_the_other_from_stopping() {
    let stand = Stand::new().await;
    let other = stand.world.beside().await;
    let elsewhere = Client::connect(other.address()).await;
    let life = Lifecycle {
        idle_timeout: secs(90),
        lease_ttl: secs(100),
        ..Default::default()
    };
    let made = many(&stand, life).await;
    // Later ones are noted together with the first.
    for seconds in [0, 10, 15, 85, 20, 65, 88, 1, 85] {
        stand.pass_in(seconds, 5.min(seconds).max(1)).await;
        for sandbox_id in &made {
            let ran = elsewhere.exec(&stand.session_id, sandbox_id, "print x");
            ran.await.unwrap();
        }
        if seconds > 30 {
            // So long after the last one that it is not put off.
            written(&stand, &made).await;
        }
    }
    stand.settle().await;
    for sandbox_id in &made {
        assert_eq!(stand.state(sandbox_id).await, SandboxState::Running);
    }
    assert_eq!(stand.world.fake.count(Op::Stop), 0);
}

/// Waits until it is written that all have just been used.
async fn written(stand: &Stand, made: &[String]) {
    let used = stand.now();
    for sandbox_id in made {
        let is_written = async || stand.row(sandbox_id).await.activity_time >= used - 1000;
        for _ in 0..1000 {
            if is_written().await {
                break;
            }
            stand.move_clock(Duration::from_millis(1));
            sleep(Duration::from_millis(1)).await;
        }
        assert!(is_written().await, "not written within a second");
    }
}

#[tokio::test]
async fn uses_are_written_at_most_once_in_half_a_minute() {
    let stand = Stand::new().await;
    let life = Lifecycle {
        idle_timeout: secs(3600),
        lease_ttl: secs(3600),
        ..Default::default()
    };
    let sandbox_id = stand.make(life).await;
    let mut written = BTreeSet::new();
    for _ in 0..125 {
        stand.use_it(&sandbox_id).await;
        stand.pass(1).await;
        let time = stand.row(&sandbox_id).await.activity_time;
        assert!(stand.now() - time < 34_000);
        written.insert(time);
    }
    assert!((3..=6).contains(&written.len()), "{written:?}");
    let times: Vec<_> = written.into_iter().collect();
    let apart = times.windows(2).skip(1).map(|two| two[1] - two[0]);
    assert!(apart.min().unwrap() >= 29_000, "{times:?}");
}

#[tokio::test]
async fn the_last_uses_are_written_when_a_gateway_ends() {
    let stand = Stand::new().await;
    let life = Lifecycle {
        idle_timeout: secs(90),
        lease_ttl: secs(3600),
        ..Default::default()
    };
    let sandbox_id = stand.make(life).await;
    stand.use_it(&sandbox_id).await;
    stand.pass(25).await;
    stand.use_it(&sandbox_id).await;
    let used = stand.now();
    let stand = stand.restarted(Duration::ZERO).await;
    let written = stand.row(&sandbox_id).await.activity_time;
    assert!((written - used).abs() < 1000, "{}", used - written);
}
