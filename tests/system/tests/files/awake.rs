//! What keeps a sandbox awake: a transfer as long as it takes, and no look.

use std::time::{Duration, Instant};

use futures::stream;
use sandgate_proto::v1::{
    CreateSandboxRequest, Lifecycle, OnIdle, SandboxSpec, SandboxState, WriteFileRequest,
};
use tokio::time::sleep;

use crate::{
    calls::{reading, writing},
    each::on_each,
    stand::Stand,
};

/// Without a use for so long, a sandbox is stopped.
const IDLE: i64 = 8;
/// How long a transfer takes.
const LONG: Duration = Duration::from_secs(20);
/// Between two parts of it.
const PAUSE: Duration = Duration::from_millis(250);

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_is_a_use_and_a_look_is_none() {
    on_each(|stand| {
        Box::pin(async move {
            short_lived(stand).await;
            writes(stand).await;
            reads(stand).await;
            looks(stand).await;
        })
    })
    .await;
}

/// Puts a sandbox that rests soon in the place of the first.
async fn short_lived(stand: &mut Stand) {
    let lifecycle = Lifecycle {
        idle_timeout: Some(prost_types::Duration {
            seconds: IDLE,
            nanos: 0,
        }),
        // Where there is no stop, as at E2B, it is what comes nearest.
        on_idle: OnIdle::Unspecified.into(),
        ..Lifecycle::default()
    };
    let request = CreateSandboxRequest {
        session_id: stand.session_id.clone(),
        spec: Some(SandboxSpec {
            lifecycle: Some(lifecycle),
            ..SandboxSpec::default()
        }),
        ..CreateSandboxRequest::default()
    };
    let made = stand.client.create(request).await.unwrap();
    let made = made.sandbox.unwrap().sandbox_id;
    let old = std::mem::replace(&mut stand.sandbox_id, made);
    stand.client.delete(&stand.session_id, &old).await.unwrap();
}

async fn state(stand: &Stand) -> SandboxState {
    let got = stand.client.get(&stand.session_id, &stand.sandbox_id);
    got.await.unwrap().state()
}

/// A trickle, which a provider without a line of its own takes in before the sandbox sees any of it.
async fn writes(stand: &Stand) {
    let first = stand.first_write(writing("slow"));
    let begun = Instant::now();
    let rest = stream::unfold(begun, |begun| async move {
        sleep(PAUSE).await;
        let part = WriteFileRequest {
            data: vec![1; 50_000].into(),
            ..WriteFileRequest::default()
        };
        (begun.elapsed() < LONG).then_some((part, begun))
    });
    let messages = futures::StreamExt::chain(stream::iter([first]), rest);
    let written = stand.files().write_file(messages).await.unwrap();
    assert!(written.into_inner().info.unwrap().size > 0);
    assert_eq!(state(stand).await, SandboxState::Running);
}

async fn reads(stand: &Stand) {
    stand.sh("truncate -s 1G long").await;
    let mut request = reading("long");
    request.session_id.clone_from(&stand.session_id);
    request.sandbox_id.clone_from(&stand.sandbox_id);
    let mut stream = stand.files().read_file(request).await.unwrap().into_inner();
    let begun = Instant::now();
    while begun.elapsed() < LONG {
        // Some at a time, so that what waits on the way is used up soon.
        for _ in 0..20 {
            assert!(stream.message().await.unwrap().is_some());
        }
        sleep(PAUSE).await;
    }
    assert_eq!(state(stand).await, SandboxState::Running);
}

/// They tell what is there and move no clock; so that in the end it rests.
async fn looks(stand: &Stand) {
    let activity = || async {
        let got = stand.client.get(&stand.session_id, &stand.sandbox_id);
        let time = got.await.unwrap().last_activity_time.unwrap();
        time.seconds as f64 + f64::from(time.nanos) / 1e9
    };
    stand.write("file", b"x").await;
    // What was read is over by now, also for the runner.
    let mut before = activity().await;
    for _ in 0..50 {
        sleep(Duration::from_millis(100)).await;
        let now = activity().await;
        let moved = now - before;
        before = now;
        if moved < 0.05 {
            break;
        }
    }
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(4) {
        stand.stat("file").await.unwrap();
        stand.list(".", 1).await;
    }
    // A runner tells how long ago it was, so that some milliseconds are nothing.
    let moved = activity().await - before;
    assert!(moved < 2.0, "looks moved the clock by {moved} s");
    for _ in 0..300 {
        if state(stand).await != SandboxState::Running {
            // What is looked at inside has to run.
            assert_eq!(stand.read("file").await.unwrap(), b"x");
            return;
        }
        sleep(Duration::from_millis(200)).await;
    }
    panic!("it never rests");
}
