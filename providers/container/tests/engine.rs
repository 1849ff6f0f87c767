//! The way to the engine: it may be away at first, and come and go.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

const TRANSPORT: sandgate_provider_container::Transport =
    sandgate_provider_container::Transport::Auto;

use std::{path::Path, time::Duration};

use sandgate_kit::{Kind, Provider as _, ProviderError, Spec};
use sandgate_proto::{Outcome, v1::SandboxState};
use sandgate_provider_container::{Config, Container, Inputs};
use support::{World, config};
use tokio::{
    io::copy_bidirectional,
    net::{UnixListener, UnixStream},
    task::JoinHandle,
    time::timeout,
};

/// A socket that leads to the real engine as long as it stands.
fn stand_in(path: &Path) -> JoinHandle<()> {
    let _ = std::fs::remove_file(path);
    let listener = UnixListener::bind(path).unwrap();
    let engine = support::docker(&[
        "context",
        "inspect",
        "--format",
        "{{.Endpoints.docker.Host}}",
    ]);
    let engine = std::env::var("CONTAINER_SANDBOX_DOCKER_HOST").unwrap_or(engine);
    let engine = engine
        .strip_prefix("unix://")
        .expect("this test needs an engine on a unix socket")
        .to_owned();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let mut far = UnixStream::connect(&engine).await.unwrap();
            tokio::spawn(async move { copy_bidirectional(&mut near, &mut far).await });
        }
    })
}

fn at(path: &Path, data: &Path) -> Config {
    let host = Some(format!("unix://{}", path.display()));
    Config {
        engine: Inputs {
            host,
            ..Inputs::default()
        },
        ..config(data)
    }
}

/// What is told while nobody is there; safe to repeat.
fn unreachable<T>(answer: Result<T, ProviderError>) -> String {
    let error = answer.err().unwrap();
    assert_eq!(*error.kind(), Kind::Unavailable(Outcome::Rejected));
    error.to_string()
}

#[tokio::test]
async fn an_engine_may_come_late_go_and_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("docker.sock");
    let mut world = World::new().await;
    world.provider = Container::connect(at(&socket, folder.path()))
        .await
        .unwrap();
    let (mut context, provider) = (world.context(), &world.provider);
    let told = unreachable(provider.create(&context, Spec::default()).await);
    assert!(told.contains("CONTAINER_SANDBOX_DOCKER_HOST"), "{told}");
    unreachable(provider.health().await);
    unreachable(provider.capabilities().await);

    let engine = stand_in(&socket);
    provider.health().await.unwrap();
    let known = provider.capabilities().await.unwrap();
    let made = provider.create(&context, Spec::default()).await.unwrap();
    support::know(&mut context, &made);

    // What runs goes on while the engine is away, as with live-restore.
    let mut process = world
        .start(&context, support::shell("echo up; sleep 1; echo on"))
        .await;
    process.speaks().await;
    engine.abort();
    let _ = engine.await;
    assert_eq!(process.finish().await.text(), "up\non\n");
    unreachable(provider.health().await);
    unreachable(provider.get(&context).await);
    let remembered = provider.capabilities().await.unwrap();
    assert_eq!(remembered, known);

    let engine = stand_in(&socket);
    let found = provider.get(&context).await.unwrap();
    assert_eq!(found.state, SandboxState::Running);
    provider.delete(&context).await.unwrap();
    engine.abort();
}

#[tokio::test]
async fn an_engine_that_says_nothing_is_given_up_on() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("docker.sock");
    let _listener = UnixListener::bind(&socket).unwrap();
    let provider = timeout(
        Duration::from_secs(10),
        Container::connect(at(&socket, folder.path())),
    )
    .await
    .unwrap()
    .unwrap();
    let health = timeout(Duration::from_secs(5), provider.health())
        .await
        .unwrap();
    unreachable(health);
}

#[tokio::test]
async fn settings_that_cannot_be_used_are_named() {
    let refused = |change: fn(&mut Config)| async move {
        let mut config = Config::default();
        change(&mut config);
        Container::connect(config).await.err().unwrap().to_string()
    };
    let ssh = refused(|config| config.engine.host = Some("ssh://me@host".into())).await;
    assert!(ssh.contains("ssh -NL"), "{ssh}");
    let prefix = refused(|config| config.name_prefix = "-".into()).await;
    assert!(prefix.contains("SANDGATE_NAME_PREFIX"), "{prefix}");
    let pool = refused(|config| config.subnet_pool = "10.0.0.0".into()).await;
    assert!(pool.contains("SANDGATE_CONTAINER_SUBNETS"), "{pool}");
}

/// The engine looks up this path from its own working folder, so it sees another one, as an engine
/// on another host would.
#[tokio::test]
async fn an_engine_that_does_not_see_our_folder_is_reached_by_a_bridge() {
    let here = std::env::current_dir().unwrap();
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let below = folder.path().strip_prefix(here.ancestors().nth(2).unwrap());
    let below = below.unwrap().to_owned();
    let unseen = Path::new("/proc/self/cwd/../..").join(&below);
    assert!(unseen.exists());
    let world = World::with(|config| config.data_dir = Some(unseen)).await;
    for _ in 0..2 {
        let (context, made) = world.sandbox().await;
        assert_eq!(
            support::inspect(&made.provider_sandbox_id, "{{.Mounts}}"),
            "[]"
        );
        assert_eq!(world.sh(&context, "echo in").await.text(), "in\n");
        world.provider.delete(&context).await.unwrap();
    }
    let left = support::names(&folder.path().join("container/run"));
    assert_eq!(left, Vec::<String>::new());
    // Where the socket is demanded it says what to do.
    let unseen = Path::new("/proc/self/cwd/../..").join(below);
    let world = World::with(|config| {
        config.data_dir = Some(unseen);
        config.transport = sandgate_provider_container::Transport::Socket;
    });
    let (_, message) = world.await.refused(Spec::default()).await;
    assert!(message.contains("SANDGATE_DATA_DIR"), "{message}");
}
