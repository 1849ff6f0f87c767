//! E2B's own timeout, at which it pauses a sandbox: moved on while the gateway has it run, and by
//! nothing else.

use std::time::{Duration, Instant};

use sandgate_gateway::Clock;
use sandgate_proto::v1::{SandboxState, execution_ended::Outcome};
use serde_json::json;

use crate::{
    direct::Direct,
    output::{Reader, begin},
    stand::{KEY, Stand},
};

/// Longer than the gateway lets a running sandbox be without a look.
const BEAT: Duration = Duration::from_secs(310);
/// Seconds that E2B leaves it.
const LEFT: u32 = 8;
/// Lines before, and lines after that.
const LINES: u64 = 1000;

/// Waits until E2B says this of a sandbox.
async fn becomes(stand: &Stand, upstream: &str, state: &str) {
    let begun = Instant::now();
    loop {
        let detail = stand.emulator.detail(KEY, upstream).await;
        if detail["state"] == state {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{detail}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn work_goes_on_past_the_time_that_was_left() {
    let clock = Clock::manual();
    let stand = Stand::timed(&clock).await;
    let ids = stand.client.pair().await;
    let upstream = stand.upstream().await;
    // While the gateway's clock stands, nobody moves it on.
    stand.emulator.set_timeout(KEY, &upstream, 1).await;
    becomes(&stand, &upstream, "paused").await;
    stand.said(&ids, "true").await;

    let last = 2 * LINES - 1;
    let then = format!("sleep {}; seq -f %07.0f {LINES} {last}; exit 7", LEFT + 4);
    begin(&stand.client, &ids, LINES, &then).await;
    let begun = Instant::now();
    stand.emulator.set_timeout(KEY, &upstream, LEFT).await;
    let before = stand.emulator.end(KEY, &upstream).await;
    let mut reader = Reader::default();
    let mut stream = reader.open(&stand.client, &ids).await.unwrap();
    reader.read(&mut stream, LINES * 8).await.unwrap();
    clock.advance(BEAT);
    reader.read(&mut stream, u64::MAX).await.unwrap();
    assert_eq!(reader.offset, LINES * 16);
    assert_eq!(reader.ended.unwrap().outcome, Some(Outcome::ExitCode(7)));
    assert!(begun.elapsed() > Duration::from_secs(LEFT.into()));
    let after = stand.emulator.end(KEY, &upstream).await;
    assert!(after > before + 600, "{before} {after}");
    becomes(&stand, &upstream, "running").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_is_for_what_runs() {
    let stand = Stand::tapped().await;
    let ids = stand.client.pair().await;
    let upstream = stand.upstream().await;
    let direct = Direct::of(&stand, &ids).await;
    stand.emulator.set_timeout(KEY, &upstream, 60).await;
    let before = stand.emulator.end(KEY, &upstream).await;
    direct.renew(600).await.unwrap();
    let longer = stand.emulator.end(KEY, &upstream).await;
    assert!(longer > before + 500, "{before} {longer}");
    // Never shorter than it is.
    direct.renew(60).await.unwrap();
    assert_eq!(stand.emulator.end(KEY, &upstream).await, longer);

    stand.emulator.expire(&upstream).await;
    stand.emulator.counts().await;
    let renewed = direct.renew(600).await.unwrap();
    assert_eq!(renewed.sandbox.unwrap().state(), SandboxState::Paused);
    assert_eq!(stand.emulator.woken().await, 0);
    becomes(&stand, &upstream, "paused").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_in_the_middle_of_a_renewal_is_no_loss() {
    let stand = Stand::start().await;
    let ids = stand.client.pair().await;
    let direct = Direct::about(&stand, &ids).await;
    // As E2B says it of one that it has paused since it was looked at.
    let rule = json!({"path": "/sandboxes/*/timeout", "kind": "status", "status": 404});
    stand.emulator.fault(&rule).await;
    let renewed = direct.renew(20_000).await.unwrap();
    assert_eq!(stand.emulator.hits().await, [1]);
    assert_eq!(renewed.sandbox.unwrap().state(), SandboxState::Running);
}
