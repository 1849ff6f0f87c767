//! envd fails, or is gone with its sandbox: every byte is read once, or a loss is said.

use std::time::{Duration, Instant};

use sandgate_proto::{
    Reason,
    v1::{SandboxState, execution_ended::Outcome},
};
use sandgate_system::{assert_reason, fact, reason};
use serde_json::json;

use crate::{
    output::{Reader, begin},
    stand::{KEY, Stand},
};

const LINES: u64 = 500_000;
/// Starts a process: what a visit is.
const START: &str = "/process.Process/Start";

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_break_lose_nothing() {
    let stand = Stand::start().await;
    let ids = stand.client.pair().await;
    begin(&stand.client, &ids, LINES, "exit 7").await;
    let rule = json!({"path": START, "kind": "drop", "bytes": 600_000, "times": 4});
    stand.emulator.fault(&rule).await;
    let mut reader = Reader::default();
    let breaks = reader.follow(&stand.client, &ids).await;
    assert!(breaks <= 4, "{breaks}");
    assert_eq!(reader.offset, LINES * 8);
    assert_eq!(stand.emulator.hits().await, [4]);
    let ended = reader.ended.unwrap();
    assert_eq!(ended.outcome, Some(Outcome::ExitCode(7)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_is_passed_over_or_said() {
    let stand = Stand::start().await;
    let ids = stand.client.pair().await;
    for kind in ["reset", "garbage", "status"] {
        let rule = json!({"path": START, "kind": kind, "status": 502, "body": "bad gateway"});
        stand.emulator.fault(&rule).await;
        if let Err(error) = stand.client.exec(&ids.0, &ids.1, "echo x").await {
            let (_, name) = reason(&error);
            assert!(
                !["INTERNAL", "UNKNOWN"].contains(&name.as_str()),
                "{error:?}"
            );
        }
        stand.emulator.mend().await;
        assert_eq!(stand.said(&ids, "echo x").await, "x\n", "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_middle_is_said() {
    let stand = Stand::start().await;
    let ids = stand.client.pair().await;
    begin(&stand.client, &ids, LINES, "sleep 1000").await;
    let mut reader = Reader::default();
    let mut stream = reader.open(&stand.client, &ids).await.unwrap();
    reader.read(&mut stream, LINES * 8).await.unwrap();
    let id = stand.emulator.sandboxes(KEY).await.remove(0);
    stand.emulator.kill(KEY, &id).await;
    match reader.read(&mut stream, u64::MAX).await {
        Ok(()) => {
            let outcome = reader.ended.unwrap().outcome;
            assert!(matches!(outcome, Some(Outcome::Lost(_))), "{outcome:?}");
        }
        Err(error) => {
            let (_, name) = reason(&error);
            assert_eq!(name, "EXECUTION_LOST", "{error:?}");
        }
    }
    assert_eq!(reader.offset, LINES * 8);
    stand.becomes(&ids, SandboxState::Failed).await;
}

/// Each in the way of the next visits to one stream, some in the middle of a frame.
#[tokio::test(flavor = "multi_thread")]
async fn one_stream_survives_every_way_to_break() {
    let stand = Stand::start().await;
    let ids = stand.client.pair().await;
    begin(&stand.client, &ids, LINES, "exit 7").await;
    let ways = [
        json!({"path": START, "kind": "drop", "bytes": 0}),
        json!({"path": START, "kind": "drop", "bytes": 3}),
        json!({"path": START, "kind": "drop", "bytes": 600_000}),
        json!({"path": START, "kind": "garbage", "bytes": 600_000}),
        json!({"path": START, "kind": "reset"}),
        json!({"path": START, "kind": "reset", "after": true}),
        json!({"path": START, "kind": "garbage"}),
        json!({"path": START, "kind": "status", "status": 500}),
        json!({"path": START, "kind": "status", "status": 502, "body": "<html>bad gateway</html>"}),
        json!({"path": START, "kind": "slow", "delay_ms": 1000}),
        json!({"path": START, "kind": "drop", "bytes": 1_000_000}),
    ];
    for rule in &ways {
        stand.emulator.fault(rule).await;
    }
    let mut reader = Reader::default();
    let breaks = reader.follow(&stand.client, &ids).await;
    assert!(breaks <= ways.len(), "{breaks}");
    assert_eq!(reader.offset, LINES * 8);
    assert_eq!(stand.emulator.hits().await, [1; 11]);
    let ended = reader.ended.unwrap();
    assert_eq!(ended.outcome, Some(Outcome::ExitCode(7)));
    assert_eq!(ended.stdout.unwrap().bytes, LINES * 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_one_is_waited_for() {
    let stand = Stand::start().await;
    let ids = stand.client.pair().await;
    let rule = json!({"path": "/process.Process/*", "kind": "slow", "delay_ms": 4000, "times": 0});
    stand.emulator.fault(&rule).await;
    assert_eq!(stand.said(&ids, "echo x").await, "x\n");
    assert!(stand.emulator.hits().await[0] > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_port_is_said_and_is_no_end() {
    let stand = Stand::start().await;
    let ids = stand.client.pair().await;
    let body = json!({"sandboxId": "i", "message": "The sandbox is running but port is not open", "port": 49983, "code": 502});
    let rule = json!({"path": START, "kind": "status", "status": 502, "body": body.to_string(), "times": 0});
    stand.emulator.fault(&rule).await;
    let error = stand.client.exec(&ids.0, &ids.1, "echo x").await;
    let error = error.unwrap_err();
    assert_reason(&error, Reason::UpstreamUnavailable, "try again");
    assert_eq!(fact(&error, "outcome").as_deref(), Some("rejected"));
    stand.becomes(&ids, SandboxState::Running).await;
    stand.emulator.mend().await;
    assert_eq!(stand.said(&ids, "echo x").await, "x\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_not_waited_for_for_ever() {
    let stand = Stand::start().await;
    let ids = stand.client.pair().await;
    let rule = json!({"path": START, "kind": "hang", "times": 0});
    stand.emulator.fault(&rule).await;
    let begun = Instant::now();
    let error = stand.client.exec(&ids.0, &ids.1, "echo x").await;
    let error = error.unwrap_err();
    assert_reason(&error, Reason::UpstreamUnavailable, "in time");
    assert!(begun.elapsed() < Duration::from_secs(60), "{error:?}");
    stand.emulator.mend().await;
    assert_eq!(stand.said(&ids, "echo x").await, "x\n");
}
