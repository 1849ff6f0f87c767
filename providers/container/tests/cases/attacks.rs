//! What root inside a sandbox can do to the way that leads to its runner: nothing but cut it.

use std::{path::PathBuf, time::Duration};

use sandgate_kit::{Kind, Provider as _};
use sandgate_proto::{Outcome, v1::SandboxState};
use tokio::{net::UnixListener, time::timeout};

use crate::support::{World, inspect};

/// Listens in the runner's place and answers whatever it is told.
const STAND_IN: &str = r#"rm -f /run/sandgate/control; perl -MIO::Socket::UNIX -e '$s=IO::Socket::UNIX->new(Local=>"/run/sandgate/control",Listen=>5) or die; while($c=$s->accept){print $c "hello"; $c->flush; sleep 1}' >/dev/null 2>&1 & sleep 1"#;

/// Where the host sees the folder of the socket.
fn folder(id: &str) -> PathBuf {
    let template =
        "{{range .Mounts}}{{if eq .Destination \"/run/sandgate\"}}{{.Source}}{{end}}{{end}}";
    inspect(id, template).into()
}

#[tokio::test]
async fn whoever_takes_the_runners_place_is_not_talked_to() {
    let world = World::new().await;
    let (context, made) = world.sandbox().await;
    assert_eq!(world.sh(&context, STAND_IN).await.code(), 0);
    let error = world.provider.reach(&context).await.err().unwrap();
    assert_eq!(*error.kind(), Kind::Unavailable(Outcome::Rejected));
    assert!(error.to_string().contains("stop and start"), "{error}");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("in place of the runner"), "{cause}");
    let seen = world.provider.get(&context).await.unwrap();
    assert_eq!(seen.state, SandboxState::Running);
    // The runner is itself again after a stop and a start.
    world.provider.stop(&context).await.unwrap();
    world.provider.start(&context).await.unwrap();
    assert_eq!(world.sh(&context, "echo back").await.text(), "back\n");
    assert_eq!(seen.provider_sandbox_id, made.provider_sandbox_id);
    world.provider.delete(&context).await.unwrap();
}

#[tokio::test]
async fn a_link_to_a_socket_of_the_host_is_not_followed() {
    let world = World::new().await;
    let secret = tempfile::tempdir().unwrap();
    let target = secret.path().join("host.sock");
    let listener = UnixListener::bind(&target).unwrap();
    let (context, made) = world.sandbox().await;
    for target in [target.to_str().unwrap(), "/var/run/docker.sock"] {
        let line = format!("rm -f /run/sandgate/control; ln -s {target} /run/sandgate/control");
        let fresh = world.provider.start(&context).await;
        let reached = world.provider.reach(&context).await;
        if fresh.is_ok() && reached.is_ok() {
            assert_eq!(world.sh(&context, &line).await.code(), 0);
        }
        let error = world.provider.reach(&context).await.err().unwrap();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("Symlink"), "{cause}");
        world.provider.stop(&context).await.unwrap();
        world.provider.start(&context).await.unwrap();
    }
    let called = timeout(Duration::from_millis(200), listener.accept()).await;
    assert!(called.is_err(), "somebody was connected to it");
    // A folder in its place, full of what nobody should follow, is taken away like the rest.
    let line = "rm -f /run/sandgate/control; mkdir -p /run/sandgate/control/a/b; ln -s / /run/sandgate/control/a/b/root; chmod 0 /run/sandgate/control";
    assert_eq!(world.sh(&context, line).await.code(), 0);
    assert!(world.provider.reach(&context).await.is_err());
    let folder = folder(&made.provider_sandbox_id);
    assert!(folder.starts_with(world.data.path()));
    world.provider.delete(&context).await.unwrap();
    assert!(!folder.exists());
    assert_eq!(world.folders(), Vec::<String>::new());
}

#[tokio::test]
async fn nobody_inside_reaches_the_runner() {
    let world = World::new().await;
    let (context, _) = world.sandbox().await;
    // Root may connect; the runner sees that it comes from inside, and says so.
    let line = r#"perl -MIO::Socket::UNIX -e '$s=IO::Socket::UNIX->new(Peer=>"/run/sandgate/control") or die; print $s "\x0a\x08\x01\x12\x06\x08\x01\x10\x01\x20\x01"; $s->flush; sysread $s,$b,500; print $b'"#;
    let said = world.sh(&context, line).await;
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(text.contains("NOT_LET_IN"), "{text:?}");
    let line = "kill -9 1; kill -TERM 1; sleep 0.2; ls -l /run/sandgate; echo x >> /run/sandgate-runner && echo written";
    let seen = world.sh(&context, line).await;
    let listing = String::from_utf8_lossy(&seen.stdout).into_owned();
    assert!(!listing.contains("written"), "{listing}");
    world.provider.delete(&context).await.unwrap();
}
