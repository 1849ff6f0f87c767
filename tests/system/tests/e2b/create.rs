//! CreateSandbox where E2B fails: never two sandboxes, never one that nobody knows of.

use std::time::Duration;

use sandgate_proto::{
    Reason,
    v1::{CreateSandboxRequest, CreateSandboxResponse},
};
use sandgate_system::{assert_reason, fact};
use serde_json::{Value, json};
use tonic::Status;
use tonic_types::StatusExt as _;

use crate::stand::{KEY, Stand};

async fn create(stand: &Stand) -> Result<CreateSandboxResponse, Status> {
    let request = CreateSandboxRequest {
        session_id: stand.client.session().await,
        ..Default::default()
    };
    stand.client.create(request).await
}

/// One create, spoiled so.
async fn spoiled(stand: &Stand, kind: &str, status: u16, after: bool) {
    let rule = json!({"path": "/sandboxes", "method": "POST", "kind": kind, "status": status, "after": after});
    stand.emulator.fault(&rule).await;
    let made = create(stand).await;
    assert_eq!(stand.emulator.hits().await, [1], "{kind} {status} {after}");
    stand.emulator.mend().await;
    match made {
        Ok(made) => {
            let sandbox = made.sandbox.unwrap();
            assert_eq!(stand.emulator.sandboxes(KEY).await.len(), 1, "{sandbox:?}");
            let ids = (sandbox.session_id, sandbox.sandbox_id);
            assert_eq!(stand.said(&ids, "echo fit").await, "fit\n");
            stand.client.delete(&ids.0, &ids.1).await.unwrap();
        }
        Err(error) => {
            assert!(!after, "{kind} {status}: it was made: {error:?}");
            assert_reason(&error, Reason::UpstreamUnavailable, "");
            assert!(fact(&error, "outcome").is_some(), "{error:?}");
        }
    }
    stand.has(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_makes_one_sandbox() {
    let stand = Stand::start().await;
    for after in [true, false] {
        for (kind, status) in [
            ("status", 500),
            ("status", 503),
            ("reset", 0),
            ("garbage", 0),
        ] {
            spoiled(&stand, kind, status, after).await;
        }
    }
}

/// Each takes the minute that a create may take.
#[tokio::test(flavor = "multi_thread")]
async fn no_answer_is_a_lost_answer() {
    let (made, not) = tokio::join!(Stand::start(), Stand::start());
    tokio::join!(
        spoiled(&made, "hang", 0, true),
        spoiled(&not, "hang", 0, false)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_limit_says_when() {
    let stand = Stand::start().await;
    let rule = json!({"path": "/sandboxes", "method": "POST", "kind": "status", "status": 429, "retry_after": 17, "times": 0});
    stand.emulator.fault(&rule).await;
    let error = create(&stand).await.unwrap_err();
    assert_reason(&error, Reason::UpstreamRateLimited, "");
    let wait = error.get_details_retry_info().unwrap().retry_delay;
    assert_eq!(wait, Some(Duration::from_secs(17)));
    assert_eq!(
        stand.emulator.hits().await,
        [1],
        "it is asked again at once"
    );
    stand.has(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_cannot_be_prepared_is_taken_down() {
    let stand = Stand::start().await;
    // envd of the new sandbox: nothing of it works.
    for path in ["/process.Process/*", "/files", "/filesystem.Filesystem/*"] {
        let rule = json!({"path": path, "kind": "status", "status": 500, "times": 0});
        stand.emulator.fault(&rule).await;
    }
    let error = create(&stand).await.unwrap_err();
    assert_reason(&error, Reason::UpstreamUnavailable, "");
    stand.has(0).await;
    let rules = stand
        .emulator
        .ask("GET /_emulator/faults", "", &Value::Null)
        .await;
    assert!(rules.as_array().is_some_and(|rules| rules.len() == 3));
}
