//! Two sandboxes on a real engine that must not meet. In a program of its own: whenever the engine
//! makes a network it takes its own firewall rules out for some milliseconds and puts them back
//! (20.10, `EnsureJumpRule` in libnetwork), so this needs an engine that makes none meanwhile. An
//! engine with `--iptables=false` keeps nobody apart, and fails here.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

const TRANSPORT: sandgate_provider_container::Transport =
    sandgate_provider_container::Transport::Auto;

use std::time::Duration;

use sandgate_kit::Provider as _;
use support::{World, inspect};

const SERVE: &str = r#"perl -MIO::Socket::INET -e '$s=IO::Socket::INET->new(Listen=>5,LocalPort=>8080,ReuseAddr=>1) or die; while($c=$s->accept){print $c "hello"; close $c}' >/dev/null 2>&1 &"#;

/// Ends with 7 where nobody answers.
fn ask(address: &str) -> String {
    format!(
        r#"perl -MIO::Socket::INET -e '$c=IO::Socket::INET->new(PeerAddr=>"{address}:8080",Timeout=>2) or exit 7; print <$c>'"#
    )
}

#[tokio::test]
async fn private_sandboxes_do_not_reach_each_other() {
    let world = World::new().await;
    let (server, made) = world.sandbox().await;
    let (other, _) = world.sandbox().await;
    let template = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    let address = inspect(&made.provider_sandbox_id, template);
    world.sh(&server, SERVE).await.text();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.sh(&server, &ask("127.0.0.1")).await.text(), "hello");
    // Somebody else may use the engine too: three times in a row, out of a few more.
    let mut refused = 0;
    for _ in 0..12 {
        let code = world.sh(&other, &ask(&address)).await.code();
        refused = if code == 7 { refused + 1 } else { 0 };
        if refused == 3 {
            break;
        }
    }
    assert_eq!(refused, 3, "{address} answers");
    world.provider.delete(&server).await.unwrap();
    world.provider.delete(&other).await.unwrap();
}
