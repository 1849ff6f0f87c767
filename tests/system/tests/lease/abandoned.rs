//! Sandboxes that nobody wants any more, and those that are too old.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sandgate_proto::{
    Reason,
    v1::{Lifecycle, RenewSandboxRequest, SandboxState},
};
use sandgate_system::Op;

use crate::stand::{Stand, millis, secs};

pub(crate) fn lease(seconds: i64) -> Lifecycle {
    Lifecycle {
        idle_timeout: secs(0),
        lease_ttl: secs(seconds),
        ..Default::default()
    }
}

pub(crate) async fn renew(stand: &Stand, sandbox_id: &str) {
    let request = RenewSandboxRequest {
        session_id: stand.session_id.clone(),
        sandbox_id: sandbox_id.to_owned(),
        ..Default::default()
    };
    let mut sandboxes = stand.client.sandboxes();
    sandboxes.renew_sandbox(request).await.unwrap();
}

#[tokio::test]
async fn what_is_abandoned_is_deleted() {
    let stand = Stand::new().await;
    let sandbox_id = stand.make(lease(300)).await;
    let made = stand.now();
    let deadline = millis(stand.get(&sandbox_id).await.lease_expire_time).unwrap();
    assert!((deadline - made - 300_000).abs() < 1000);
    stand.pass_in(290, 10).await;
    assert_eq!(stand.state(&sandbox_id).await, SandboxState::Running);
    stand.pass(11).await;
    assert_eq!(stand.state(&sandbox_id).await, SandboxState::Deleted);
    assert!(stand.world.fake.sandboxes().is_empty());
}

#[tokio::test]
async fn a_renewal_prolongs_idle_and_lease() {
    let stand = Stand::new().await;
    let life = Lifecycle {
        idle_timeout: secs(100),
        ..lease(120)
    };
    let sandbox_id = stand.make(life).await;
    for _ in 0..5 {
        stand.pass_in(90, 30).await;
        renew(&stand, &sandbox_id).await;
    }
    assert_eq!(stand.state(&sandbox_id).await, SandboxState::Running);
    stand.pass_in(102, 34).await;
    assert_eq!(stand.state(&sandbox_id).await, SandboxState::Stopped);
}

#[tokio::test]
async fn the_age_ends_it_in_the_middle_of_work() {
    let stand = Stand::new().await;
    let life = Lifecycle {
        max_lifetime: secs(600),
        ..lease(3600)
    };
    let sandbox_id = stand.make(life).await;
    let made = stand.now();
    let deadline = millis(stand.get(&sandbox_id).await.max_expire_time).unwrap();
    assert!((deadline - made - 600_000).abs() < 1000);
    stand.start(&sandbox_id, "work", "hang").await;
    stand.pass_in(580, 20).await;
    assert_eq!(stand.state(&sandbox_id).await, SandboxState::Running);
    renew(&stand, &sandbox_id).await;
    stand.pass(21).await;
    assert_eq!(stand.state(&sandbox_id).await, SandboxState::Deleted);
    assert_eq!(stand.world.fake.live(), 0);
}

#[tokio::test]
async fn the_upstreams_own_end_is_told_and_put_off() {
    let stand = Stand::new().await;
    let sandbox_id = stand.make(lease(300)).await;
    let end = SystemTime::now() + Duration::from_secs(24 * 3600);
    stand.world.fake.expire(&sandbox_id, Some(end));
    stand.pass(101).await;
    let told = stand.get(&sandbox_id).await.provider_expire_time;
    let left = SystemTime::try_from(told.unwrap())
        .unwrap()
        .duration_since(end);
    assert!(left.unwrap_or_else(|early| early.duration()) < Duration::from_secs(1));
    let kept: Vec<_> = stand.world.fake.calls(Op::Renew);
    let kept: Vec<_> = kept.iter().map(|call| call.keep_for).collect();
    // Until four looks have come.
    assert_eq!(kept, [Some(Duration::from_secs(400))]);
}

#[tokio::test]
async fn one_that_the_upstream_ended_is_told_from_one_that_was_lost() {
    let stand = Stand::new().await;
    for (end, reason) in [
        (50, Reason::SandboxExpired),
        (24 * 3600, Reason::SandboxNotFound),
    ] {
        let sandbox_id = stand.make(lease(300)).await;
        let end = millis_from(stand.now() + end * 1000);
        stand.world.fake.expire(&sandbox_id, Some(end));
        stand.pass(101).await;
        stand.world.fake.lose(&sandbox_id);
        let seen = stand.get(&sandbox_id).await;
        assert_eq!(seen.state(), SandboxState::Failed);
        assert_eq!(seen.reason.unwrap().code, reason.name());
    }
}

fn millis_from(millis: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(millis.unsigned_abs())
}
