//! Connections over time, with a runner at the other end that the test plays.

use bytes::Bytes;
use sandgate_proto::provider::v1::ProviderContext;
use sandgate_runner_proto::{
    TO_RUNNER_BYTES, put_frame,
    v1::{FromRunner, List, ToRunner},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
    time::Instant,
};

use super::*;

const BOOT: &str = "33333333-3333-4333-8333-333333333333";

fn context() -> CallContext {
    CallContext::from(ProviderContext {
        sandbox_id: "s".into(),
        generation: 2,
        ..ProviderContext::default()
    })
}

fn welcome() -> Welcome {
    Welcome {
        version: HIGHEST_VERSION,
        sandbox_id: "s".into(),
        generation: 2,
        boot_id: BOOT.into(),
        ..Welcome::default()
    }
}

/// Connects to a runner that greets like this.
async fn connected(welcome: Welcome) -> Result<(Link, DuplexStream, TaskTracker), LinkError> {
    let (link, mut runner) = duplex(64 * 1024);
    let tasks = TaskTracker::new();
    let greeting = async {
        let mut frames = FrameReader::new(TO_RUNNER_BYTES);
        runner.read_buf(frames.buffer()).await.unwrap();
        let hello: ToRunner = frames.next().unwrap().unwrap();
        let mut bytes = Vec::new();
        let body = Some(from_runner::Body::Welcome(welcome));
        let call = hello.call;
        put_frame(&FromRunner { call, body }, &mut bytes);
        runner.write_all(&bytes).await.unwrap();
    };
    let secret = Bytes::new();
    let reached = Reached { link, secret };
    let context = context();
    let closed = CancellationToken::new();
    let (link, ()) = tokio::join!(connect(reached, &context, &tasks, closed), greeting);
    tasks.close();
    Ok((link?, runner, tasks))
}

#[tokio::test(start_paused = true)]
async fn only_the_right_runner_is_let_in() {
    assert!(connected(welcome()).await.is_ok());
    let wrong = [
        Welcome {
            version: HIGHEST_VERSION + 1,
            ..welcome()
        },
        Welcome {
            sandbox_id: "t".into(),
            ..welcome()
        },
        Welcome {
            generation: 1,
            ..welcome()
        },
        Welcome {
            boot_id: "x".into(),
            ..welcome()
        },
    ];
    for wrong in wrong {
        let refused = connected(wrong).await.err();
        assert!(matches!(refused, Some(LinkError::Broken(_))), "{refused:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_mute_runner_is_given_up_and_says_nothing() {
    let (link, _runner, tasks) = connected(welcome()).await.unwrap();
    let begun = Instant::now();
    let look = link.look("e", Duration::from_secs(600)).await;
    assert!(matches!(look, Err(LinkError::Lost)), "{look:?}");
    assert!(begun.elapsed() <= Duration::from_secs(61));
    tasks.wait().await;
    assert!(!link.is_open());
    let listed = link.list(List::default()).await;
    assert!(matches!(listed, Err(LinkError::Lost)));
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed() {
    let (link, _runner, tasks) = connected(welcome()).await.unwrap();
    let begun = Instant::now();
    tasks.wait().await;
    assert!(!link.is_open());
    let age = begun.elapsed();
    assert!((59..70).contains(&age.as_secs()), "{age:?}");
}

#[tokio::test(start_paused = true)]
async fn a_retired_connection_is_read_to_its_end_and_not_used_again() {
    let (link, _runner, tasks) = connected(welcome()).await.unwrap();
    let begun = Instant::now();
    link.shared().retired.cancel();
    assert!(!link.is_open());
    tasks.wait().await;
    let age = begun.elapsed();
    assert!((1..5).contains(&age.as_secs()), "{age:?}");
}
