//! What an emulated sandbox can do that no SDK asks for, and what is left of it: nothing.

use serde_json::json;

use crate::support::{Inside, call};

#[tokio::test]
async fn sandboxes_do_not_see_each_other_or_the_machine() {
    let emulator = crate::support::start().await;
    let (one, other) = tokio::join!(
        Inside::make(&emulator, json!({"allow_internet_access": false})),
        Inside::make(&emulator, json!({})),
    );
    let look = json!({"process": {"cmd": "sh", "args": ["-c", "echo mine > /tmp/mine; ls /sys/class/net /proc/net 2>/dev/null | wc -l; cat /proc/net/dev | grep -c : ; ls / | tr '\\n' ' '"]}});
    let (events, _) = one.start(&emulator, &look, &[]).await;
    let ended = events.last().unwrap();
    assert_eq!(ended["event"]["end"]["exited"], true, "{events:?}");
    let answer = other
        .call(&emulator, "GET /files?path=/tmp/mine", &[], "")
        .await
        .unwrap();
    assert_eq!(answer.status, 404);
    // Only loopback is there.
    let devices =
        json!({"process": {"cmd": "sh", "args": ["-c", "test $(grep -c : /proc/net/dev) = 1"]}});
    let (events, _) = one.start(&emulator, &devices, &[]).await;
    assert_eq!(
        events.last().unwrap()["event"]["end"]["status"],
        "exit status 0",
        "{events:?}"
    );
    for hidden in ["/etc/shadow", "/.emulator/socket", "/.emulator/program"] {
        let cat = json!({"process": {"cmd": "cat", "args": [hidden]}});
        let (events, _) = other.start(&emulator, &cat, &[]).await;
        assert_eq!(
            events.last().unwrap()["event"]["end"]["status"],
            "exit status 1",
            "{hidden}"
        );
    }
    emulator.stop().await;
}

#[tokio::test]
async fn ports_inside_are_reached() {
    let emulator = crate::support::start().await;
    let more = json!({"allow_internet_access": false, "network": {"allowPublicTraffic": false}});
    let inside = Inside::make(&emulator, more).await;
    let serve = json!({"process": {"cmd": "sh", "args": ["-c", "cd /tmp && echo hello > x && exec python3 -m http.server 8099 2>/dev/null >&2 &"]}, "stdin": false});
    inside.start(&emulator, &serve, &[]).await;
    let host = format!("8099-{}.e2b.app", inside.id);
    let refused = call(&emulator, "GET /x", &[("host", &host)], "").await;
    assert_eq!(refused.unwrap().status, 403);
    let told = inside.manage(
        &emulator,
        "POST /sandboxes/{id}/connect",
        r#"{"timeout":60}"#,
    );
    let token = told.await.json()["trafficAccessToken"]
        .as_str()
        .unwrap()
        .to_owned();
    let headers = [
        ("host", host.as_str()),
        ("e2b-traffic-access-token", token.as_str()),
    ];
    for _ in 0..100 {
        let answer = call(&emulator, "GET /x", &headers, "").await.unwrap();
        if answer.status == 200 {
            assert_eq!(&answer.body[..], b"hello\n");
            emulator.stop().await;
            return;
        }
        assert_eq!(
            answer.json()["message"],
            "The sandbox is running but port is not open"
        );
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("the port stays closed");
}

#[tokio::test]
async fn traffic_wakes_who_wants_to_be_woken() {
    let emulator = crate::support::start().await;
    let more = json!({"autoPause": true, "autoResume": {"enabled": true}});
    let inside = Inside::make(&emulator, more).await;
    let expire = format!("POST /_emulator/sandboxes/{}/expire", inside.id);
    let expired = call(&emulator, &expire, &[], "").await.unwrap();
    assert_eq!(expired.status, 204);
    let found = inside.manage(&emulator, "GET /sandboxes/{id}", "").await;
    assert_eq!(found.json()["state"], "paused");
    let health = inside
        .call(&emulator, "GET /health", &[], "")
        .await
        .unwrap();
    assert_eq!(health.status, 204);
    let found = inside.manage(&emulator, "GET /sandboxes/{id}", "").await;
    assert_eq!(found.json()["state"], "running");
    emulator.stop().await;
}

#[tokio::test]
async fn http_2_is_spoken_without_tls() {
    use http_body_util::{BodyExt as _, Empty};
    use hyper::client::conn::http2;
    use hyper_util::rt::{TokioExecutor, TokioIo};
    let emulator = crate::support::start().await;
    let inside = Inside::make(&emulator, json!({})).await;
    let stream = tokio::net::TcpStream::connect(emulator.address())
        .await
        .unwrap();
    let connected = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (mut sender, connection) = connected.unwrap();
    tokio::spawn(connection);
    let request = http::Request::get(format!("{}/files?path=/etc/hostname", emulator.url()))
        .header("e2b-sandbox-id", &inside.id)
        .header("e2b-sandbox-port", "49983")
        .header("x-access-token", &inside.token)
        .body(Empty::<bytes::Bytes>::new());
    let answer = sender.send_request(request.unwrap()).await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.version()),
        (200, http::Version::HTTP_2)
    );
    let body = answer.into_body().collect().await.unwrap();
    assert_eq!(&body.to_bytes()[..], b"e2b.local\n");
    emulator.stop().await;
}

#[tokio::test]
async fn nothing_is_left_behind() {
    let emulator = crate::support::start().await;
    let inside = Inside::make(&emulator, json!({})).await;
    let id = inside.id.clone();
    let left = || {
        let all = std::fs::read_dir("/proc").unwrap().flatten();
        let line = |entry: std::fs::DirEntry| std::fs::read(entry.path().join("cmdline"));
        let lines = all.filter_map(|entry| line(entry).ok());
        lines
            .filter(|line| String::from_utf8_lossy(line).contains(&id))
            .count()
    };
    assert!(left() > 0);
    // Dropped without a word, as where a test fails.
    drop(emulator);
    for _ in 0..100 {
        if left() == 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{} processes are left", left());
}

#[tokio::test]
async fn what_is_begun_is_done_without_its_caller() {
    use tokio::io::AsyncWriteExt as _;
    let emulator = crate::support::start().await;
    let body = r#"{"templateID":"base","timeout":60,"metadata":{"a":"b"}}"#;
    let request = format!(
        "POST /v2/sandboxes HTTP/1.1\r\nhost: {}\r\nx-api-key: e2b_test\r\ncontent-length: {}\r\n\r\n{body}",
        emulator.address(),
        body.len(),
    );
    let stream = tokio::net::TcpStream::connect(emulator.address()).await;
    let mut stream = stream.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    drop(stream);
    let lost = r#"{"path":"/v2/sandboxes","method":"POST","kind":"reset","after":true}"#;
    call(&emulator, "POST /_emulator/faults", &[], lost).await;
    let key = [("x-api-key", "e2b_test")];
    let none = call(&emulator, "POST /v2/sandboxes", &key, body).await;
    assert!(none.is_none(), "{none:?}");
    let list = "GET /v2/sandboxes?metadata=a%253Db";
    for _ in 0..100 {
        let found = call(&emulator, list, &key, "").await.unwrap();
        if found.json().as_array().unwrap().len() == 2 {
            emulator.stop().await;
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("a create was not carried out");
}
