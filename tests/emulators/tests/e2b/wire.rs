//! What was seen of E2B on the wire, asked of the emulator.

use crate::support::{Inside, call, framed};
use serde_json::json;

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn a_process_is_told_as_seen() {
    let emulator = crate::support::start().await;
    let inside = Inside::make(&emulator, json!({})).await;
    let start = json!({"process": {"cmd": "/bin/bash", "args": ["-l", "-c", "echo hi"], "envs": {"B": "2"}, "cwd": "/tmp"}, "stdin": false});
    let root = ("authorization", "Basic cm9vdDo=");
    let (events, end) = inside.start(&emulator, &start, &[root]).await;
    assert!(events[0]["event"]["start"]["pid"].is_u64(), "{events:?}");
    assert_eq!(events[1], json!({"event": {"data": {"stdout": "aGkK"}}}));
    assert_eq!(events[2]["event"]["end"]["status"], "exit status 0");
    assert_eq!(events[2]["event"]["end"]["exited"], true);
    assert_eq!(end, Some(json!({})));

    let nowhere = json!({"process": {"cmd": "true", "cwd": "/nope"}});
    let (events, end) = inside.start(&emulator, &nowhere, &[]).await;
    assert_eq!(
        (events.len(), end.unwrap()["error"].clone()),
        (
            0,
            json!({"code": "invalid_argument", "message": "cwd '/nope' does not exist"})
        )
    );

    let silent = json!({"process": {"cmd": "sleep", "args": ["2.5"]}});
    let (events, _) = inside
        .start(&emulator, &silent, &[("keepalive-ping-interval", "1")])
        .await;
    let beats = events
        .iter()
        .filter(|event| event["event"]["keepalive"].is_object());
    assert_eq!(beats.count(), 2, "{events:?}");

    let slow = json!({"process": {"cmd": "sleep", "args": ["60"]}});
    let (events, end) = inside
        .start(&emulator, &slow, &[("connect-timeout-ms", "500")])
        .await;
    let killed = events
        .iter()
        .any(|event| event["event"]["end"]["status"] == "signal: killed");
    assert!(
        killed || end.unwrap()["error"]["code"] == "deadline_exceeded",
        "{events:?}"
    );
    emulator.stop().await;
}

#[tokio::test]
async fn refusals_are_as_seen() {
    let emulator = crate::support::start().await;
    let inside = Inside::make(&emulator, json!({})).await;
    let list = "POST /process.Process/List";
    let none = [
        ("e2b-sandbox-id", inside.id.as_str()),
        ("e2b-sandbox-port", "49983"),
        JSON,
    ];
    let answer = call(&emulator, list, &none, "{}").await.unwrap();
    assert_eq!(
        (answer.status.as_u16(), answer.json()["code"].clone()),
        (401, json!(401))
    );
    let answer = inside
        .call(&emulator, "POST /process.Process/Start", &[JSON], "{}")
        .await
        .unwrap();
    assert_eq!(answer.status, 415);
    let signal = r#"{"process":{"pid":999999},"signal":"SIGNAL_SIGKILL"}"#;
    let line = "POST /process.Process/SendSignal";
    let answer = inside.call(&emulator, line, &[JSON], signal).await.unwrap();
    assert_eq!(answer.status, 404);
    assert_eq!(
        answer.json(),
        json!({"code": "not_found", "message": "process with pid 999999 not found"})
    );
    let answer = inside
        .call(&emulator, "POST /init", &[JSON], "{}")
        .await
        .unwrap();
    assert_eq!(answer.status, 404);
    emulator.stop().await;
}

#[tokio::test]
async fn the_binary_codec_is_spoken() {
    let emulator = crate::support::start().await;
    let inside = Inside::make(&emulator, json!({})).await;
    let line = "POST /filesystem.Filesystem/Stat";
    // The binary codec: field 1, "/tmp/nothing".
    let stat = b"\x0a\x0c/tmp/nothing".as_slice();
    let proto = [("content-type", "application/proto")];
    let answer = inside.call(&emulator, line, &proto, stat).await.unwrap();
    assert_eq!(
        (answer.status.as_u16(), answer.json()["code"].clone()),
        (404, json!("not_found"))
    );
    let answer = inside
        .call(&emulator, line, &proto, b"\x0a\x04/tmp".as_slice())
        .await
        .unwrap();
    assert_eq!(
        (
            answer.status.as_u16(),
            answer.headers["content-type"].to_str().unwrap()
        ),
        (200, "application/proto")
    );
    emulator.stop().await;
}

#[tokio::test]
async fn the_proxy_knows_who_is_there() {
    let emulator = crate::support::start().await;
    let inside = Inside::make(&emulator, json!({})).await;
    let health = "GET /health";
    let host = format!("49983-{}.e2b.app", inside.id);
    let answer = call(&emulator, health, &[("host", &host)], "")
        .await
        .unwrap();
    assert_eq!(answer.status, 204);
    let answer = call(&emulator, health, &[("host", "49983-inobody.e2b.app")], "")
        .await
        .unwrap();
    assert_eq!(answer.status, 502);
    assert_eq!(
        answer.json(),
        json!({"sandboxId": "inobody", "message": "The sandbox was not found", "code": 502})
    );
    let closed = format!("1-{}.e2b.app", inside.id);
    let answer = call(&emulator, health, &[("host", &closed)], "")
        .await
        .unwrap();
    let said = json!({"sandboxId": inside.id, "message": "The sandbox is running but port is not open", "port": 1, "code": 502});
    assert_eq!((answer.status.as_u16(), answer.json()), (502, said));
    let answer = call(&emulator, health, &[("host", "sandbox.e2b.app")], "")
        .await
        .unwrap();
    assert_eq!(
        (answer.status.as_u16(), &answer.body[..]),
        (400, &b"missing header"[..])
    );
    emulator.stop().await;
}

#[tokio::test]
async fn a_pause_breaks_streams_and_not_processes() {
    let emulator = crate::support::start_with(|settings| settings.new_tokens = true).await;
    let inside = Inside::make(&emulator, json!({})).await;
    let line = "POST /process.Process/Start";
    let slow = framed(
        &json!({"process": {"cmd": "sh", "args": ["-c", "sleep 3; echo late > /tmp/late"]}}),
    );
    let headers = [("content-type", "application/connect+json")];
    let follow = inside.call(&emulator, line, &headers, slow);
    let pause = async {
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        inside
            .manage(&emulator, "POST /sandboxes/{id}/pause", "{}")
            .await
    };
    let (followed, paused) = tokio::join!(follow, pause);
    assert_eq!(paused.status, 204);
    assert!(followed.unwrap().broken);
    let answer = inside
        .call(&emulator, "GET /health", &[], "")
        .await
        .unwrap();
    assert_eq!(answer.status, 502);
    let resumed = inside
        .manage(
            &emulator,
            "POST /sandboxes/{id}/connect",
            r#"{"timeout":60}"#,
        )
        .await;
    let token = resumed.json()["envdAccessToken"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_ne!(token, inside.token);
    let late = "GET /files?path=/tmp/late";
    let old = inside.call(&emulator, late, &[], "").await.unwrap();
    assert_eq!(old.status, 401);
    let inside = Inside { token, ..inside };
    for _ in 0..100 {
        let answer = inside.call(&emulator, late, &[], "").await.unwrap();
        if answer.status == 200 {
            assert_eq!(&answer.body[..], b"late\n");
            emulator.stop().await;
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("the process does not go on");
}

#[tokio::test]
async fn requests_are_counted_and_spoiled() {
    let emulator = crate::support::start().await;
    let inside = Inside::make(&emulator, json!({})).await;
    let fault = r#"{"path":"/files","kind":"drop","bytes":3}"#;
    let added = call(&emulator, "POST /_emulator/faults", &[], fault)
        .await
        .unwrap();
    assert_eq!(added.status, 201);
    let write = "POST /files?path=/tmp/x";
    let bytes = [("content-type", "application/octet-stream")];
    let lost = inside
        .call(&emulator, write, &bytes, "0123456789")
        .await
        .unwrap();
    assert!(lost.broken && lost.body.len() == 3, "{lost:?}");
    let read = inside
        .call(&emulator, "GET /files?path=/tmp/x", &[], "")
        .await
        .unwrap();
    assert_eq!(&read.body[..], b"0123456789");
    for bad in [
        r#"{"path":"/"}"#,
        r#"{"path":"/","kind":"status","status":7}"#,
        r#"{"path":"/","kind":"reset","tims":1}"#,
    ] {
        let answer = call(&emulator, "POST /_emulator/faults", &[], bad)
            .await
            .unwrap();
        assert_eq!(answer.status, 400, "{bad}");
    }
    let counted = call(&emulator, "GET /_emulator/requests?reset=true", &[], "")
        .await
        .unwrap();
    let wanted = json!({"POST /v2/sandboxes": 1, "POST /files": 1, "GET /files": 1});
    assert_eq!(counted.json()["counts"], wanted);
    let counted = call(&emulator, "GET /_emulator/requests", &[], "")
        .await
        .unwrap();
    assert_eq!(counted.json()["total"], 0);
    emulator.stop().await;
}

#[tokio::test]
async fn a_deadline_ends_the_leader_and_not_its_children() {
    let emulator = crate::support::start().await;
    let inside = Inside::make(&emulator, json!({})).await;
    let line = "sleep 300 & echo $! > /tmp/child; wait";
    let start = json!({"process": {"cmd": "sh", "args": ["-c", line]}});
    let deadline = [("connect-timeout-ms", "700")];
    let (events, end) = inside.start(&emulator, &start, &deadline).await;
    assert_eq!(
        end.unwrap()["error"]["code"],
        "deadline_exceeded",
        "{events:?}"
    );
    let pid = events[0]["event"]["start"]["pid"].to_string();
    let alive = json!({"process": {"cmd": "sh", "args": ["-c", "kill -0 $(cat /tmp/child)"]}});
    let (events, _) = inside.start(&emulator, &alive, &[]).await;
    assert_eq!(
        events.last().unwrap()["event"]["end"]["status"],
        "exit status 0"
    );
    let leader = json!({"process": {"cmd": "kill", "args": ["-0", pid]}});
    let (events, _) = inside.start(&emulator, &leader, &[]).await;
    assert_eq!(
        events.last().unwrap()["event"]["end"]["status"],
        "exit status 1"
    );
    emulator.stop().await;
}

#[tokio::test]
async fn output_comes_in_pieces_of_32_kib_at_most() {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    let emulator = crate::support::start().await;
    let inside = Inside::make(&emulator, json!({})).await;
    let start = json!({"process": {"cmd": "head", "args": ["-c", "1000000", "/dev/zero"]}});
    let (events, _) = inside.start(&emulator, &start, &[]).await;
    let data = events
        .iter()
        .filter_map(|event| event["event"]["data"]["stdout"].as_str());
    let sizes: Vec<usize> = data
        .map(|data| BASE64_STANDARD.decode(data).unwrap().len())
        .collect();
    assert!(sizes.iter().all(|size| *size <= 32 * 1024), "{sizes:?}");
    assert_eq!(sizes.iter().sum::<usize>(), 1_000_000);
    emulator.stop().await;
}
