//! A provider that is stopped in its tracks (kill -STOP): its sockets stay open and say nothing.

use std::time::{Duration, Instant};

use sandgate_proto::{Reason, v1::SandboxState};
use sandgate_system::{Binary, Client, assert_reason, fact, gateway_for};

#[tokio::test]
async fn it_is_missed_and_found_again() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().to_str().unwrap();
    let arguments = ["--listen", "127.0.0.1:0", "--data-dir", folder];
    let binary = Binary::start("sandgate-provider-local", &arguments).await;
    let (gateway, _store) = gateway_for("local", binary.address()).await;
    let client = Client::connect(gateway.address()).await;
    let (session_id, sandbox_id) = client.pair().await;
    let mut stream = client
        .stream(&session_id, &sandbox_id, "echo x; sleep 60")
        .await
        .unwrap();
    stream.message().await.unwrap().unwrap();
    stream.message().await.unwrap().unwrap();

    binary.freeze();
    let begun = Instant::now();
    let (streamed, called) = tokio::join!(
        stream.message(),
        client.exec(&session_id, &sandbox_id, "echo x")
    );
    assert!(
        begun.elapsed() < Duration::from_secs(13),
        "{:?}",
        begun.elapsed()
    );
    for error in [streamed.unwrap_err(), called.unwrap_err()] {
        assert_reason(&error, Reason::ProviderUnavailable, "local");
        assert_eq!(fact(&error, "outcome").as_deref(), Some("ambiguous"));
    }
    let seen = client.get(&session_id, &sandbox_id).await.unwrap();
    assert_eq!(seen.state(), SandboxState::Unknown);

    binary.thaw();
    let ran = client
        .exec(&session_id, &sandbox_id, "echo back")
        .await
        .unwrap();
    assert_eq!(ran.stdout, b"back\n");
    client.delete(&session_id, &sandbox_id).await.unwrap();
}
