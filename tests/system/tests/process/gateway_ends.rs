//! SIGTERM of the gateway: what runs may finish, what streams is told, nothing new is let in.

use std::time::{Duration, Instant};

use sandgate_proto::{Reason, v1::CreateSandboxRequest};
use sandgate_system::{Act, Binary, Client, Fake, Op, assert_reason, eventually, kit_args};

struct Gateway {
    fake: Fake,
    binary: Binary,
    _data: tempfile::TempDir,
    _provider: sandgate_kit::Running,
}

async fn gateway() -> Gateway {
    let fake = Fake::default();
    let (args, default) = (kit_args(), ([127, 0, 0, 1], 0).into());
    let provider = sandgate_kit::start(fake.clone(), &args, default)
        .await
        .unwrap();
    let data = tempfile::tempdir().unwrap();
    let providers = format!("fake=http://{}", provider.address());
    let arguments = [
        "--listen",
        "127.0.0.1:0",
        "--drain-seconds",
        "1",
        "--providers",
        &providers,
        "--data-dir",
    ];
    let folder = data.path().to_str().unwrap().to_owned();
    let arguments: Vec<&str> = arguments.into_iter().chain([folder.as_str()]).collect();
    let binary = Binary::start("sandgate-gateway", &arguments).await;
    Gateway {
        fake,
        binary,
        _data: data,
        _provider: provider,
    }
}

#[tokio::test]
async fn it_drains() {
    let Gateway {
        fake,
        binary,
        _data,
        _provider,
    } = gateway().await;
    let client = Client::connect(binary.address()).await;
    let (session_id, sandbox_id) = client.pair().await;
    let mut stream = client
        .stream(&session_id, &sandbox_id, "print x; hang")
        .await
        .unwrap();
    stream.message().await.unwrap().unwrap();
    stream.message().await.unwrap().unwrap();
    fake.set(Op::Create, Act::Work(Duration::from_millis(300)));
    let request = CreateSandboxRequest {
        session_id,
        ..Default::default()
    };
    let create = tokio::spawn(async move { client.create(request).await });
    eventually("the create is under way", || fake.pending(Op::Create) == 1).await;

    binary.terminate();
    let begun = Instant::now();
    let address = binary.address();
    eventually("new connections are refused", || {
        std::net::TcpStream::connect(address).is_err()
    })
    .await;
    create.await.unwrap().expect("a call under way may finish");
    let ended = stream.message().await.unwrap_err();
    assert_reason(&ended, Reason::Draining, "resume");
    assert!(
        begun.elapsed() >= Duration::from_millis(900),
        "no grace: {:?}",
        begun.elapsed()
    );
    let status = binary.ended().await;
    assert!(status.success(), "{status}");
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn it_ends_at_once_where_nothing_runs() {
    let Gateway {
        binary,
        _data,
        _provider,
        ..
    } = gateway().await;
    let client = Client::connect(binary.address()).await;
    let (session_id, sandbox_id) = client.pair().await;
    client
        .exec(&session_id, &sandbox_id, "print x")
        .await
        .unwrap();
    let begun = Instant::now();
    binary.terminate();
    assert!(binary.ended().await.success());
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn what_it_was_told_is_there_after_a_restart() {
    let Gateway {
        binary,
        _data,
        _provider,
        ..
    } = gateway().await;
    let client = Client::connect(binary.address()).await;
    let (session_id, sandbox_id) = client.pair().await;
    drop(binary);
    let providers = format!("fake=http://{}", _provider.address());
    let folder = _data.path().to_str().unwrap();
    let again = [
        "--listen",
        "127.0.0.1:0",
        "--providers",
        &providers,
        "--data-dir",
        folder,
    ];
    let binary = Binary::start("sandgate-gateway", &again).await;
    let client = Client::connect(binary.address()).await;
    let ran = client
        .exec(&session_id, &sandbox_id, "print still")
        .await
        .unwrap();
    assert_eq!(ran.stdout, b"still");
}
