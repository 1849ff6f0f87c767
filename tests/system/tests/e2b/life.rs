//! Rest and wake: what a pause keeps and a stop does not, and tokens that change in between.

use sandgate_proto::v1::{CreateSandboxRequest, SandboxSpec, SandboxState};
use serde_json::Value;

use crate::stand::{KEY, Stand};

/// Leaves a file and a process, whose id is in another file.
async fn settle(stand: &Stand, ids: &(String, String)) {
    let command =
        "echo kept > ~/file; setsid sleep 1000 >/dev/null 2>&1 </dev/null & echo $! > ~/pid";
    stand.said(ids, command).await;
    assert_eq!(stand.said(ids, LOOK).await, "kept\nruns\n");
}

/// Whether both are there.
const LOOK: &str =
    "cat ~/file; if kill -0 $(cat ~/pid) 2>/dev/null; then echo runs; else echo gone; fi";

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_keeps_all_and_a_stop_files() {
    let stand = Stand::with(&["--new-tokens"], &[], Some(KEY)).await;
    let ids = stand.client.pair().await;
    settle(&stand, &ids).await;

    let paused = stand.pause(&ids).await.unwrap();
    assert_eq!(paused.state(), SandboxState::Paused);
    let resumed = stand.resume(&ids).await.unwrap();
    assert_eq!(resumed.state(), SandboxState::Running);
    assert_eq!(stand.said(&ids, LOOK).await, "kept\nruns\n");

    let stopped = stand.client.stop(&ids.0, &ids.1).await.unwrap();
    assert_eq!(stopped.state(), SandboxState::Stopped);
    let started = stand.client.start(&ids.0, &ids.1).await.unwrap();
    assert_eq!(started.state(), SandboxState::Running);
    assert_eq!(stand.said(&ids, LOOK).await, "kept\ngone\n");
    stand.client.delete(&ids.0, &ids.1).await.unwrap();
    stand.has(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_token_is_found() {
    let stand = Stand::start().await;
    let ids = stand.client.pair().await;
    let id = stand.emulator.sandboxes(KEY).await.remove(0);
    for _ in 0..3 {
        assert_eq!(stand.said(&ids, "echo x").await, "x\n");
        let line = format!("POST /_emulator/tokens/rotate/{id}");
        stand.emulator.ask(&line, "", &Value::Null).await;
    }
    assert_eq!(stand.said(&ids, "echo x").await, "x\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_by_e2b_is_woken_from() {
    let stand = Stand::with(&["--new-tokens"], &[], Some(KEY)).await;
    let ids = stand.client.pair().await;
    settle(&stand, &ids).await;
    stand.emulator.expire(&stand.upstream().await).await;
    stand.becomes(&ids, SandboxState::Paused).await;
    stand.resume(&ids).await.unwrap();
    assert_eq!(stand.said(&ids, LOOK).await, "kept\nruns\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_outlives_a_stop() {
    let stand = Stand::start().await;
    let session_id = stand.client.session().await;
    let request = CreateSandboxRequest {
        session_id: session_id.clone(),
        spec: Some(SandboxSpec {
            env: [("GREETING".to_owned(), "two\nlines = 2".to_owned())].into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let made = stand.client.create(request).await.unwrap().sandbox.unwrap();
    let ids = (session_id, made.sandbox_id);
    let look = "printf %s \"$GREETING\"";
    assert_eq!(stand.said(&ids, look).await, "two\nlines = 2");
    stand.client.stop(&ids.0, &ids.1).await.unwrap();
    assert_eq!(stand.said(&ids, look).await, "two\nlines = 2");
    assert_eq!(
        stand
            .said(
                &ids,
                "cat /usr/local/lib/sandgate/environment 2>&1 || echo no"
            )
            .await
            .lines()
            .last(),
        Some("no")
    );
}
