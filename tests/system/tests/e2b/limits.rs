//! E2B wants fewer calls, or fewer sandboxes: said with the time to wait, and not tried again.

use std::time::Duration;

use sandgate_proto::{
    Reason,
    v1::{CreateSandboxRequest, SandboxState},
};
use sandgate_system::{assert_reason, has_retry};
use serde_json::{Value, json};
use tonic::Status;
use tonic_types::StatusExt as _;

use crate::{direct::Direct, stand::Stand};

/// Fails unless it says to wait for so many seconds.
#[track_caller]
fn says_wait(error: &Status, seconds: u64) {
    assert_reason(error, Reason::UpstreamRateLimited, "");
    let wait = error.get_details_retry_info().unwrap().retry_delay;
    assert_eq!(wait, Some(Duration::from_secs(seconds)), "{error:?}");
}

fn limit(method: &str, path: &str, seconds: u64) -> Value {
    json!({"path": path, "method": method, "kind": "status", "status": 429, "retry_after": seconds, "times": 0})
}

#[tokio::test(flavor = "multi_thread")]
async fn acts_say_when() {
    let stand = Stand::start().await;
    let (session_id, sandbox_id) = &stand.client.pair().await;
    let ids = (session_id.clone(), sandbox_id.clone());
    let pause = limit("POST", "/sandboxes/*/pause", 21);
    stand.emulator.fault(&pause).await;
    says_wait(&stand.pause(&ids).await.unwrap_err(), 21);
    assert_eq!(stand.emulator.hits().await, [1], "it is asked again");
    stand.emulator.mend().await;
    stand.pause(&ids).await.unwrap();
    let connect = limit("POST", "/sandboxes/*/connect", 22);
    stand.emulator.fault(&connect).await;
    says_wait(&stand.resume(&ids).await.unwrap_err(), 22);
    stand.emulator.mend().await;
    stand.resume(&ids).await.unwrap();
    // What ran has been ended by then, so that this is gone on with.
    stand.emulator.fault(&pause).await;
    let stopped = stand.client.stop(session_id, sandbox_id).await;
    says_wait(&stopped.unwrap_err(), 21);
    stand.emulator.mend().await;
    stand.becomes(&ids, SandboxState::Stopped).await;
    let kill = limit("DELETE", "/sandboxes/*", 23);
    stand.emulator.fault(&kill).await;
    let deleted = stand.client.delete(session_id, sandbox_id).await;
    says_wait(&deleted.unwrap_err(), 23);
    stand.emulator.mend().await;
    stand.client.delete(session_id, sandbox_id).await.unwrap();
    stand.has(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_says_when() {
    let stand = Stand::start().await;
    let ids = stand.client.pair().await;
    let direct = Direct::about(&stand, &ids).await;
    stand.emulator.fault(&limit("GET", "*", 11)).await;
    says_wait(&direct.get().await.unwrap_err(), 11);
    assert_eq!(stand.emulator.hits().await, [1], "it is asked again");
    // The gateway tells what it knew last, and why that is all.
    let seen = stand.client.get(&ids.0, &ids.1).await.unwrap();
    assert_eq!(seen.state(), SandboxState::Unknown);
    assert_eq!(seen.reason.unwrap().code, "UPSTREAM_RATE_LIMITED");
    stand.emulator.mend().await;
    stand.becomes(&ids, SandboxState::Running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_says_when() {
    let stand = Stand::start().await;
    let ids = stand.client.pair().await;
    let start = limit("POST", "/process.Process/Start", 13);
    stand.emulator.fault(&start).await;
    let error = stand.client.exec(&ids.0, &ids.1, "echo x").await;
    says_wait(&error.unwrap_err(), 13);
    assert_eq!(stand.emulator.hits().await, [1], "it is asked again");
    stand.emulator.mend().await;
    assert_eq!(stand.said(&ids, "echo x").await, "x\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_as_the_plan_allows() {
    let stand = Stand::with(&["--max-sandboxes", "1"], &[], Some(crate::stand::KEY)).await;
    let first = stand.client.pair().await;
    let request = CreateSandboxRequest {
        session_id: first.0.clone(),
        ..Default::default()
    };
    let error = stand.client.create(request.clone()).await.unwrap_err();
    assert_reason(&error, Reason::UpstreamRateLimited, "your E2B plan");
    assert!(has_retry(&error), "{error:?}");
    stand.has(1).await;
    // One that is paused does not count.
    stand.pause(&first).await.unwrap();
    stand.client.create(request).await.unwrap();
    stand.has(2).await;
}
