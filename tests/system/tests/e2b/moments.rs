//! Sandboxes whose state E2B is just changing, and what is left of one state in the next.

use std::time::Duration;

use sandgate_proto::v1::SandboxState;
use serde_json::json;
use tokio::time::sleep;

use crate::stand::Stand;

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_changes_is_waited_for() {
    let stand = Stand::start().await;
    let ids = stand.client.pair().await;
    for path in ["/sandboxes/*/pause", "/sandboxes/*/connect", "/sandboxes/*"] {
        let method = if path.ends_with('*') {
            "DELETE"
        } else {
            "POST"
        };
        let rule =
            json!({"path": path, "method": method, "kind": "status", "status": 409, "times": 2});
        stand.emulator.fault(&rule).await;
    }
    let stopped = stand.client.stop(&ids.0, &ids.1).await.unwrap();
    assert_eq!(stopped.state(), SandboxState::Stopped);
    stand.client.start(&ids.0, &ids.1).await.unwrap();
    stand.client.delete(&ids.0, &ids.1).await.unwrap();
    assert_eq!(stand.emulator.hits().await, [2, 2, 2]);
    stand.has(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_lets_go_of_what_a_pause_kept() {
    let stand = Stand::start().await;
    let ids = stand.client.pair().await;
    let sleeps = "setsid sleep 1000 >/dev/null 2>&1 </dev/null & echo $! > ~/pid";
    stand.said(&ids, sleeps).await;
    stand.pause(&ids).await.unwrap();
    let stopped = stand.client.stop(&ids.0, &ids.1).await.unwrap();
    assert_eq!(stopped.state(), SandboxState::Stopped);
    let look = "kill -0 $(cat ~/pid) 2>/dev/null || echo gone";
    assert_eq!(stand.said(&ids, look).await, "gone\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visit_that_began_unseen_does_not_stay() {
    let stand = Stand::start().await;
    let ids = stand.client.pair().await;
    stand.said(&ids, "true").await;
    let lost = json!({"path": "/process.Process/Start", "method": "POST", "kind": "reset", "after": true, "times": 3});
    stand.emulator.fault(&lost).await;
    let long = stand.client.exec(&ids.0, &ids.1, "sleep 12; echo done");
    let looks = async {
        sleep(Duration::from_secs(4)).await;
        assert_eq!(stand.emulator.hits().await, [3]);
        // That of the long command, and that of this one.
        let count = "grep -lz '^visit$' /proc/[0-9]*/cmdline 2>/dev/null | wc -l";
        let mut seen = String::new();
        for _ in 0..10 {
            seen = stand.said(&ids, count).await;
            if seen == "2\n" {
                return;
            }
            sleep(Duration::from_millis(500)).await;
        }
        panic!("visits: {seen}");
    };
    let (ran, ()) = tokio::join!(long, looks);
    assert_eq!(ran.unwrap().stdout, b"done\n");
}
