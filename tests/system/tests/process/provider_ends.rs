//! SIGTERM of a provider: the same, seen through a gateway.

use std::time::{Duration, Instant};

use sandgate_proto::Reason;
use sandgate_system::{Binary, Client, assert_reason, eventually, gateway_for, kill_sandboxes};

async fn local(data: &tempfile::TempDir) -> Binary {
    let folder = data.path().to_str().unwrap();
    let arguments = [
        "--listen",
        "127.0.0.1:0",
        "--drain-seconds",
        "1",
        "--data-dir",
        folder,
    ];
    Binary::start("sandgate-provider-local", &arguments).await
}

#[tokio::test]
async fn it_drains() {
    let data = tempfile::tempdir().unwrap();
    let binary = local(&data).await;
    let (gateway, _store) = gateway_for("local", binary.address()).await;
    let client = Client::connect(gateway.address()).await;
    let (session_id, sandbox_id) = client.pair().await;
    let mut stream = client
        .stream(&session_id, &sandbox_id, "echo x; sleep 60")
        .await
        .unwrap();
    stream.message().await.unwrap().unwrap();
    stream.message().await.unwrap().unwrap();
    let short = tokio::spawn({
        let (client, session_id, sandbox_id) =
            (client.clone(), session_id.clone(), sandbox_id.clone());
        async move {
            client
                .exec(&session_id, &sandbox_id, "sleep 0.4; echo done")
                .await
        }
    });
    tokio::time::sleep(Duration::from_millis(150)).await;

    binary.terminate();
    let begun = Instant::now();
    let address = binary.address();
    eventually("new connections are refused", || {
        std::net::TcpStream::connect(address).is_err()
    })
    .await;
    let ran = short
        .await
        .unwrap()
        .expect("a command under way may finish");
    assert_eq!(ran.stdout, b"done\n");
    let ended = stream.message().await.unwrap_err();
    assert_reason(&ended, Reason::Draining, "");
    let status = binary.ended().await;
    assert!(status.success(), "{status}");
    assert!(
        begun.elapsed() < Duration::from_secs(15),
        "{:?}",
        begun.elapsed()
    );
    let down = client
        .exec(&session_id, &sandbox_id, "echo x")
        .await
        .unwrap_err();
    assert_reason(&down, Reason::ProviderUnavailable, "local");
    kill_sandboxes(data.path());
}

#[tokio::test]
async fn its_sandboxes_are_there_after_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let binary = local(&data).await;
    let address = binary.address();
    let (gateway, _store) = gateway_for("local", address).await;
    let client = Client::connect(gateway.address()).await;
    let (session_id, sandbox_id) = client.pair().await;
    client
        .exec(&session_id, &sandbox_id, "echo kept > /workspace/file")
        .await
        .unwrap();
    binary.terminate();
    assert!(binary.ended().await.success());
    let (listen, folder) = (address.to_string(), data.path().to_str().unwrap());
    let again = ["--listen", listen.as_str(), "--data-dir", folder];
    let _binary = Binary::start("sandgate-provider-local", &again).await;
    let ran = client
        .exec(&session_id, &sandbox_id, "cat /workspace/file")
        .await
        .unwrap();
    assert_eq!(ran.stdout, b"kept\n");
    client.delete(&session_id, &sandbox_id).await.unwrap();
}
