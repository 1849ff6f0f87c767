//! Calls of the management API that fail while a sandbox lives: tried again a bounded number of
//! times, and said as what they are.

use sandgate_proto::{Reason, v1::SandboxState};
use sandgate_system::{assert_reason, reason};
use serde_json::json;
use tonic::Status;

use crate::stand::{KEY, Stand};

/// Most requests that one call may make where all of them fail.
const MOST: u64 = 12;

#[derive(Clone, Copy, Debug)]
enum Act {
    Pause,
    Resume,
    Stop,
    Start,
    Delete,
}

async fn act(stand: &Stand, ids: &(String, String), act: Act) -> Result<(), Status> {
    let done = match act {
        Act::Pause => stand.pause(ids).await,
        Act::Resume => stand.resume(ids).await,
        Act::Stop => stand.client.stop(&ids.0, &ids.1).await,
        Act::Start => stand.client.start(&ids.0, &ids.1).await,
        Act::Delete => stand.client.delete(&ids.0, &ids.1).await,
    };
    done.map(drop)
}

/// Each act with the request that it lives by.
const ACTS: [(Act, &str, &str); 5] = [
    (Act::Pause, "POST", "/sandboxes/*/pause"),
    (Act::Resume, "POST", "/sandboxes/*/connect"),
    (Act::Stop, "POST", "/sandboxes/*/pause"),
    (Act::Start, "POST", "/sandboxes/*/connect"),
    (Act::Delete, "DELETE", "/sandboxes/*"),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_lasts_is_said_and_what_passes_is_not() {
    for (kind, status) in [("status", 500), ("reset", 0), ("garbage", 0)] {
        let stand = Stand::start().await;
        let ids = stand.client.pair().await;
        for (what, method, path) in ACTS {
            let rule =
                json!({"path": path, "method": method, "kind": kind, "status": status, "times": 0});
            stand.emulator.fault(&rule).await;
            let error = act(&stand, &ids, what).await.unwrap_err();
            let (_, name) = reason(&error);
            assert_eq!(
                name,
                Reason::UpstreamUnavailable.name(),
                "{what:?}: {error:?}"
            );
            let hits = stand.emulator.hits().await[0];
            assert!((2..=MOST).contains(&hits), "{what:?} {kind}: {hits}");
            stand.emulator.mend().await;
            let passes = json!({"path": path, "method": method, "kind": kind, "status": status, "after": true});
            stand.emulator.fault(&passes).await;
            let done = act(&stand, &ids, what).await;
            done.unwrap_or_else(|error| panic!("{what:?} {kind}: {error:?}"));
            stand.emulator.mend().await;
        }
        stand.has(0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_that_fails_is_unknown() {
    let stand = Stand::start().await;
    let ids = stand.client.pair().await;
    for (kind, status) in [("status", 500), ("reset", 0), ("garbage", 0)] {
        let rule = json!({"path": "/sandboxes/*", "method": "GET", "kind": kind, "status": status, "times": 0});
        stand.emulator.fault(&rule).await;
        stand.becomes(&ids, SandboxState::Unknown).await;
        let hits = stand.emulator.hits().await[0];
        assert!(hits <= MOST, "{kind}: {hits}");
        stand.emulator.mend().await;
        stand.becomes(&ids, SandboxState::Running).await;
        assert_eq!(stand.said(&ids, "echo x").await, "x\n");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_sandbox_has_failed() {
    let stand = Stand::start().await;
    let ids = stand.client.pair().await;
    let id = stand.emulator.sandboxes(KEY).await.remove(0);
    stand.emulator.kill(KEY, &id).await;
    let seen = stand.client.get(&ids.0, &ids.1).await.unwrap();
    assert_eq!(seen.state(), SandboxState::Failed, "{seen:?}");
    let why = seen.reason.unwrap();
    assert_eq!(why.code, Reason::SandboxNotFound.name());
    assert!(why.message.contains("make a new one"), "{why:?}");
    let error = stand
        .client
        .exec(&ids.0, &ids.1, "echo x")
        .await
        .unwrap_err();
    assert_reason(&error, Reason::SandboxNotRunning, "new");
    stand.client.delete(&ids.0, &ids.1).await.unwrap();
}
