//! A sandbox that is frozen on a real engine: nothing hangs on it, and it goes on where it was.

use std::time::{Duration, Instant};

use sandgate_kit::{CallContext, Kind, Provider as _, ProviderError};
use sandgate_proto::v1::SandboxState;
use tokio::time::{sleep, timeout};

use crate::support::{World, docker};

/// Less than the engine waits between TERM and KILL.
const QUICK: Duration = Duration::from_secs(8);

async fn reach_is_refused(world: &World, context: &CallContext) {
    let reached = timeout(QUICK, world.provider.reach(context)).await;
    let error = reached.expect("reach hangs").err().unwrap();
    assert_eq!(*error.kind(), Kind::NotRunning);
}

fn kind<T>(result: Result<T, ProviderError>) -> Kind {
    result.err().unwrap().kind().clone()
}

#[tokio::test]
async fn a_paused_sandbox_goes_on_where_it_was() {
    let world = World::new().await;
    let (context, made) = world.sandbox().await;
    let line = "i=0; while :; do i=$((i+1)); echo $i > count; sleep 0.05; done";
    let counting = format!("({line}) >&- 2>&- & echo $!");
    let pid = world.sh(&context, &counting).await.text();
    assert_eq!(
        kind(world.provider.pause(&context, true).await),
        Kind::Unsupported("hibernate")
    );
    for _ in 0..2 {
        let paused = world.provider.pause(&context, false).await.unwrap();
        assert_eq!(paused.state, SandboxState::Paused);
        let seen = world.provider.get(&context).await.unwrap();
        assert_eq!(seen.state, SandboxState::Paused);
        reach_is_refused(&world, &context).await;
    }
    for _ in 0..2 {
        let resumed = world.provider.resume(&context).await.unwrap();
        assert_eq!(resumed.state, SandboxState::Running);
        assert_eq!(resumed.start_time, made.start_time);
    }
    let count = async || world.sh(&context, "cat count").await.text();
    let before = count().await;
    sleep(Duration::from_millis(300)).await;
    assert_ne!(count().await, before);
    let lives = format!("kill -0 {}", pid.trim());
    assert_eq!(world.sh(&context, &lives).await.code(), 0);
    // From outside, which nobody told the provider.
    docker(&["pause", &made.provider_sandbox_id]);
    reach_is_refused(&world, &context).await;
    let started = world.provider.start(&context).await.unwrap();
    assert_eq!(started.state, SandboxState::Running);
    assert_eq!(world.sh(&context, "echo up").await.text(), "up\n");
    world.provider.delete(&context).await.unwrap();
}

#[tokio::test]
async fn a_paused_sandbox_is_stopped_and_deleted_without_waiting() {
    let world = World::new().await;
    let (context, _) = world.sandbox().await;
    world.provider.pause(&context, false).await.unwrap();
    let begun = Instant::now();
    let stopped = world.provider.stop(&context).await.unwrap();
    assert_eq!(stopped.state, SandboxState::Stopped);
    assert!(begun.elapsed() < QUICK, "{:?}", begun.elapsed());
    assert_eq!(
        kind(world.provider.pause(&context, false).await),
        Kind::NotRunning
    );
    let resumed = world.provider.resume(&context).await.unwrap();
    assert_eq!(resumed.state, SandboxState::Running);
    world.provider.pause(&context, false).await.unwrap();
    let deleted = timeout(QUICK, world.provider.delete(&context)).await;
    deleted.expect("delete hangs").unwrap();
    assert_eq!(world.leftovers(), Vec::<String>::new());
    assert_eq!(
        kind(world.provider.pause(&context, false).await),
        Kind::SandboxGone
    );
}
