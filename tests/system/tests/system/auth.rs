//! Who may call the gateway.

use sandgate_gateway::{Access, Config, FilesPlace, KeyArgs, StartError};
use sandgate_proto::{
    Reason,
    v1::{ExecRequest, GetSessionRequest},
};
use sandgate_service::TlsFiles;
use sandgate_system::{Plan, World, assert_reason, framed, uuid};
use tonic::Code;

const GET: &str = "/sandbox.v1.SessionService/GetSession";
const EXEC: &str = "/sandbox.v1.SandboxService/Exec";

async fn locked() -> World {
    World::with(Plan {
        admin_key: Some("the right key"),
        ..Plan::default()
    })
    .await
}

#[tokio::test]
async fn without_the_right_key_nothing_is_answered() {
    let world = locked().await;
    let raw = world.raw().await;
    let get = framed(&GetSessionRequest { session_id: uuid() });
    let exec = framed(&ExecRequest {
        session_id: uuid(),
        ..Default::default()
    });
    for wrong in [
        None,
        Some("Bearer wrong"),
        Some("Bearer "),
        Some("Bearer the right keyx"),
        Some("Basic the right key"),
        Some("the right key"),
        Some(""),
    ] {
        let headers: Vec<_> = wrong
            .map(|wrong| ("authorization", wrong))
            .into_iter()
            .collect();
        for (path, request) in [
            (GET, &get),
            (EXEC, &exec),
            ("/no.such/Path", &get),
            (GET, &frame_of_garbage()),
        ] {
            let refused = raw.call(path, &headers, request.clone()).await.status();
            assert_reason(
                &refused,
                Reason::AuthenticationRequired,
                "authorization: Bearer",
            );
            assert!(!refused.message().contains("the right key"));
        }
    }
}

fn frame_of_garbage() -> bytes::Bytes {
    sandgate_system::frame(0, b"\xff\xff")
}

#[tokio::test]
async fn with_the_right_key_calls_are_answered() {
    let world = locked().await;
    let raw = world.raw().await;
    let key = [("authorization", "Bearer the right key")];
    let made = raw
        .call(
            "/sandbox.v1.SessionService/CreateSession",
            &key,
            framed(&()),
        )
        .await;
    let made: sandgate_proto::v1::CreateSessionResponse = made.message();
    let request = ExecRequest {
        session_id: made.session.unwrap().session_id,
        command: "print x".to_owned(),
        ..Default::default()
    };
    assert_eq!(
        raw.call(EXEC, &key, framed(&request)).await.status().code(),
        Code::Ok
    );
}

#[tokio::test]
async fn health_and_reflection_are_open() {
    let world = locked().await;
    let client = world.client().await;
    let mut health = tonic_health::pb::health_client::HealthClient::new(client.channel.clone());
    health
        .check(tonic_health::pb::HealthCheckRequest::default())
        .await
        .unwrap();
    assert!(!crate::reflection::services(&client).await.is_empty());
}

#[tokio::test]
async fn off_loopback_it_does_not_start_without_a_key() {
    let data = tempfile::tempdir().unwrap();
    let config = Config {
        listen: ([0, 0, 0, 0], 0).into(),
        database: data.path().join("sandgate.db"),
        providers: Vec::new(),
        access: Access::default(),
        admin_key: None,
        tls: TlsFiles::default(),
        workers: 1,
        files: FilesPlace::Folder(data.path().join("files")),
        data_dir: data.path().to_owned(),
        identity: Default::default(),
        keys: KeyArgs {
            encryption_keys: Some(format!("k:{}", "A".repeat(43) + "=").into()),
            ..Default::default()
        },
        limits: Default::default(),
        audit: Default::default(),
        features: Default::default(),
        connections: Default::default(),
        pace: Default::default(),
        clock: Default::default(),
    };
    let refused = sandgate_gateway::start(config.clone())
        .await
        .err()
        .expect("it started, open to all");
    assert!(matches!(refused, StartError::Open(_)), "{refused}");
    assert!(
        refused.to_string().contains("SANDGATE_ADMIN_KEY"),
        "{refused}"
    );
    sandgate_gateway::start(Config {
        admin_key: Some("key".into()),
        ..config
    })
    .await
    .unwrap();
}
