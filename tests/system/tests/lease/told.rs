//! Those who watch a session are told ahead of what its clocks will do.

use std::time::Duration;

use sandgate_proto::v1::{
    LeaseExpiring, Lifecycle, SandboxState, WatchSessionRequest, session_event::Event,
    watch_session_response,
};
use tokio::{sync::mpsc, time::timeout};

use crate::{
    abandoned::lease,
    stand::{Stand, millis, secs},
};

/// The warnings of a session.
async fn warnings(stand: &Stand) -> mpsc::UnboundedReceiver<LeaseExpiring> {
    let watch = WatchSessionRequest {
        session_id: stand.session_id.clone(),
        ..Default::default()
    };
    let events = stand.client.sessions().watch_session(watch).await.unwrap();
    let mut events = events.into_inner();
    let (out, warnings) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok(Some(message)) = events.message().await {
            if let Some(watch_session_response::Event::Entry(entry)) = message.event
                && let Some(Event::LeaseExpiring(warning)) = entry.event
            {
                out.send(warning).unwrap();
            }
        }
    });
    warnings
}

async fn next(warnings: &mut mpsc::UnboundedReceiver<LeaseExpiring>) -> LeaseExpiring {
    let next = timeout(Duration::from_secs(10), warnings.recv()).await;
    next.expect("no warning within 10 s").unwrap()
}

/// Passes until it is too late; how many seconds before the deadline it was told.
async fn ahead(stand: &Stand, life: Lifecycle, clock: &str, begin: u64) {
    let mut warnings = warnings(stand).await;
    let sandbox_id = stand.make(life).await;
    let deadline = {
        let sandbox = stand.get(&sandbox_id).await;
        let times = [
            sandbox.idle_deadline,
            sandbox.lease_expire_time,
            sandbox.max_expire_time,
        ];
        times.into_iter().filter_map(millis).min()
    };
    stand.pass_in(begin, begin / 4).await;
    assert!(warnings.try_recv().is_err(), "too early");
    stand.pass(10).await;
    let warning = next(&mut warnings).await;
    assert_eq!(
        (warning.sandbox_id, warning.clock.as_str()),
        (sandbox_id.clone(), clock)
    );
    assert_eq!(millis(warning.expire_time), deadline);
    let left = deadline.unwrap() - stand.now();
    assert!(left > 0, "{left}");
    stand.pass_in(left.unsigned_abs() / 1000 + 10, 3).await;
    assert_ne!(stand.state(&sandbox_id).await, SandboxState::Running);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(warnings.try_recv().is_err(), "told twice");
}

#[tokio::test]
async fn a_minute_ahead_of_the_end_of_a_long_clock() {
    let stand = Stand::new().await;
    let _other = stand.world.beside().await;
    // Told between 65 and 60 s ahead, if told at all within these ten seconds.
    ahead(&stand, lease(600), "LEASE", 528).await;
    let idle = Lifecycle {
        idle_timeout: secs(300),
        ..Default::default()
    };
    ahead(&stand, idle, "IDLE", 228).await;
    let old = Lifecycle {
        max_lifetime: secs(400),
        ..lease(3600)
    };
    ahead(&stand, old, "MAX_LIFETIME", 328).await;
}

#[tokio::test]
async fn at_half_the_time_of_a_short_one() {
    let stand = Stand::new().await;
    ahead(&stand, lease(60), "LEASE", 24).await;
}

#[tokio::test]
async fn each_deadline_is_told_once() {
    let stand = Stand::new().await;
    let mut warnings = warnings(&stand).await;
    let sandbox_id = stand.make(lease(300)).await;
    for _ in 0..2 {
        stand.pass_in(250, 10).await;
        let warning = next(&mut warnings).await;
        let deadline = stand.get(&sandbox_id).await.lease_expire_time;
        assert_eq!(warning.expire_time, deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(warnings.try_recv().is_err(), "told twice");
        stand.use_it(&sandbox_id).await;
    }
}
