//! What shows a runner that its provider calls through a bridge: in nobody else's sight.

use sandgate_kit::{Provider as _, Spec};

use crate::support::{World, docker, inspect, know};

fn secret(state: &[u8]) -> String {
    let kept: serde_json::Value = serde_json::from_slice(state).unwrap();
    kept["secret"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_secret_is_in_the_state_only() {
    let world = World::new().await;
    let (context, made) = world.sandbox().await;
    let secret = secret(&made.state_data);
    assert_eq!(secret.len(), 64);
    assert!(!docker(&["inspect", &made.provider_sandbox_id]).contains(&secret));
    let line = "cat /run/sandgate/secret /proc/1/environ 2>/dev/null; env; cat /proc/1/cmdline";
    let seen = world.sh(&context, line).await;
    assert!(!String::from_utf8_lossy(&seen.stdout).contains(&secret));
    assert_eq!(
        world
            .sh(&context, "stat -c %s /run/sandgate/secret")
            .await
            .text(),
        "0\n"
    );
    // Without it nobody gets in.
    let mut reached = world.provider.reach(&context).await.unwrap();
    assert_eq!(reached.secret, secret);
    reached.secret = bytes::Bytes::new();
    let context_of = context.clone();
    let alone = tokio::spawn(async move {
        crate::support::Process::start(reached, &context_of, crate::support::shell("true")).await
    });
    assert!(alone.await.is_err());
    world.provider.delete(&context).await.unwrap();
}

#[tokio::test]
async fn a_create_whose_answer_was_lost_is_repeated() {
    let world = World::new().await;
    let mut context = world.context();
    let first = world
        .provider
        .create(&context, Spec::default())
        .await
        .unwrap();
    let again = world
        .provider
        .create(&context, Spec::default())
        .await
        .unwrap();
    assert_eq!(first.provider_sandbox_id, again.provider_sandbox_id);
    assert_eq!(secret(&first.state_data), secret(&again.state_data));
    assert_eq!(first.start_time, again.start_time);
    know(&mut context, &again);
    assert_eq!(world.sh(&context, "echo in").await.text(), "in\n");
    // By a provider that has another key, too.
    let other = World::new().await;
    context.state = Vec::new().into();
    let again = other
        .provider
        .create(&context, Spec::default())
        .await
        .unwrap();
    assert_eq!(first.provider_sandbox_id, again.provider_sandbox_id);
    know(&mut context, &again);
    assert_eq!(other.sh(&context, "echo in").await.text(), "in\n");
    // A restart keeps it.
    world.provider.stop(&context).await.unwrap();
    let started = world.provider.start(&context).await.unwrap();
    assert_eq!(started.state_data, again.state_data);
    assert_eq!(world.sh(&context, "echo in").await.text(), "in\n");
    let mounts = inspect(&again.provider_sandbox_id, "{{.Mounts}}");
    assert_eq!(mounts, "[]");
    world.provider.delete(&context).await.unwrap();
}

/// Each connection is a process inside; it goes with the connection.
#[tokio::test]
async fn a_dropped_bridge_leaves_no_process() {
    let world = World::new().await;
    let (context, _) = world.sandbox().await;
    for _ in 0..3 {
        drop(world.provider.reach(&context).await.unwrap());
    }
    let line = "grep -lz '[b]ridge' /proc/[0-9]*/cmdline 2>/dev/null | wc -l";
    let mut left = String::new();
    for _ in 0..50 {
        left = world.sh(&context, line).await.text();
        if left == "1\n" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(left, "1\n", "only the one that looks");
    world.provider.delete(&context).await.unwrap();
}
