//! Streams of executions over runners that behave, vanish, and lie.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::{sync::atomic::Ordering, time::Duration};

use sandgate_kit::Kind;
use sandgate_proto::{
    Problem, Reason,
    v1::{
        ExecRequest, ExecResponse, GetExecutionRequest, RunCommandRequest, SandboxState,
        StopSandboxRequest, StreamExecutionRequest, exec_response::Event, execution_ended::Outcome,
    },
};
use sandgate_runner_proto::v1::{Observe, Start, from_runner, to_runner::Body};
use support::{
    BOOT, OTHER_BOOT, Runner, World, call,
    says::{self, ended, output, started},
};
use tokio::{io::AsyncWriteExt as _, time::timeout};
use tonic::{Status, Streaming};

fn exec() -> ExecRequest {
    ExecRequest {
        execution_id: "e".into(),
        command: "true".into(),
        env: [("A".to_owned(), "1".to_owned())].into(),
        ..ExecRequest::default()
    }
}

async fn start(runner: &mut Runner) -> (u64, Start) {
    match runner.request().await {
        (call, Body::Start(start)) => (call, start),
        other => panic!("{other:?}"),
    }
}

async fn observe(runner: &mut Runner) -> (u64, Observe) {
    loop {
        match runner.request().await {
            (call, Body::Observe(observe)) => return (call, observe),
            (_, Body::Drop(_) | Body::Credit(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// An Exec that has begun, and its runner.
async fn begun(world: &mut World) -> (Streaming<ExecResponse>, Runner, u64) {
    let mut client = world.sandboxes.clone();
    let exec = tokio::spawn(async move { client.exec(call(exec())).await });
    let mut runner = world.runner(BOOT).await;
    let (number, _) = start(&mut runner).await;
    runner.send(number, started("e")).await;
    let mut stream = exec.await.unwrap().unwrap().into_inner();
    assert!(matches!(
        next(&mut stream).await,
        Ok(Some(Event::Started(_)))
    ));
    (stream, runner, number)
}

async fn next(stream: &mut Streaming<ExecResponse>) -> Result<Option<Event>, Status> {
    let message = timeout(Duration::from_secs(30), stream.message());
    Ok(message
        .await
        .expect("the stream goes on")?
        .and_then(|message| message.event))
}

async fn text(stream: &mut Streaming<ExecResponse>, offset: u64) -> Vec<u8> {
    match next(stream).await {
        Ok(Some(Event::Output(chunk))) if chunk.offset == offset => chunk.data.to_vec(),
        other => panic!("{other:?}"),
    }
}

async fn outcome(stream: &mut Streaming<ExecResponse>) -> Outcome {
    match next(stream).await {
        Ok(Some(Event::Ended(ended))) => ended.outcome.unwrap(),
        other => panic!("{other:?}"),
    }
}

fn reason(status: &Status) -> Reason {
    Problem::from_status(status).unwrap().reason()
}

#[tokio::test]
async fn a_command_runs_through_its_runner() {
    let mut world = World::new().await;
    let mut client = world.sandboxes.clone();
    let exec = tokio::spawn(async move { client.exec(call(exec())).await });
    let mut runner = world.runner(BOOT).await;
    let (number, asked) = start(&mut runner).await;
    assert_eq!(asked.argv, ["/bin/sh", "-c", "true"]);
    assert_eq!(asked.env, ["A=1"]);
    assert!(asked.observe.is_some_and(|observe| observe.follow));
    for body in [
        started("e"),
        output(1, 0, "ab"),
        says::gap(1, 2, 5),
        output(2, 0, "c"),
        ended(5, 1),
    ] {
        runner.send(number, body).await;
    }
    let mut stream = exec.await.unwrap().unwrap().into_inner();
    let Ok(Some(Event::Started(first))) = next(&mut stream).await else {
        panic!()
    };
    assert_eq!(first.execution_id, "e");
    assert_eq!(first.start_time.unwrap().nanos, 500_000_000);
    assert_eq!(text(&mut stream, 0).await, b"ab");
    let Ok(Some(Event::Gap(gap))) = next(&mut stream).await else {
        panic!()
    };
    assert_eq!((gap.start_offset, gap.end_offset), (2, 5));
    assert_eq!(gap.reason, "DISK_FULL");
    assert_eq!(text(&mut stream, 0).await, b"c");
    assert_eq!(outcome(&mut stream).await, Outcome::ExitCode(7));
    assert_eq!(next(&mut stream).await.unwrap(), None);
}

#[tokio::test]
async fn a_lost_link_is_made_anew_and_nobody_notices() {
    let mut world = World::new().await;
    let (mut stream, mut runner, number) = begun(&mut world).await;
    runner.send(number, output(1, 0, "first ")).await;
    assert_eq!(text(&mut stream, 0).await, b"first ");
    drop(runner);
    let mut runner = world.runner(BOOT).await;
    let (number, asked) = observe(&mut runner).await;
    assert_eq!(asked.stdout_offset, Some(6));
    runner.send(number, started("e")).await;
    runner.send(number, output(1, 6, "second")).await;
    runner.send(number, ended(12, 0)).await;
    assert_eq!(text(&mut stream, 6).await, b"second");
    assert_eq!(outcome(&mut stream).await, Outcome::ExitCode(7));
}

#[tokio::test]
async fn an_outcome_is_lost_only_with_its_sandbox() {
    let mut world = World::new().await;
    let (mut stream, runner, _) = begun(&mut world).await;
    drop(runner);
    let _runner = world.runner(OTHER_BOOT).await;
    let Outcome::Lost(lost) = outcome(&mut stream).await else {
        panic!()
    };
    assert_eq!(lost.reason, "SANDBOX_RESTARTED");
    let mut world = World::new().await;
    let (mut stream, runner, _) = begun(&mut world).await;
    let stop = StopSandboxRequest::default();
    world.sandboxes.stop_sandbox(call(stop)).await.unwrap();
    drop(runner);
    let Outcome::Lost(lost) = outcome(&mut stream).await else {
        panic!()
    };
    assert_eq!(lost.reason, "SANDBOX_STOPPED");
}

#[tokio::test]
async fn a_runner_that_stays_away_says_nothing_about_the_outcome() {
    let mut world = World::new().await;
    let (mut stream, runner, _) = begun(&mut world).await;
    // The provider cannot reach it, but says that it runs.
    *world.facts.reachable.lock().unwrap() = Some(Kind::NotRunning);
    assert_eq!(*world.facts.state.lock().unwrap(), SandboxState::Running);
    drop(runner);
    let status = loop {
        match next(&mut stream).await {
            Ok(Some(Event::KeepAlive(_))) => {}
            other => break other.unwrap_err(),
        }
    };
    assert_eq!(reason(&status), Reason::UpstreamUnavailable);
    assert!(world.facts.reached.load(Ordering::SeqCst) < 15);
}

#[tokio::test]
async fn a_runner_that_lies_is_cut_off() {
    let lies: [(&str, Vec<from_runner::Body>); 5] = [
        ("a hole", vec![output(1, 1, "x")]),
        ("over the credit", vec![output(1, 0, vec![0; 200_000]); 1]),
        ("wrong totals", vec![ended(1, 0)]),
        ("two starts", vec![started("e")]),
        ("a snapshot", vec![says::snapshot_end(0, 0)]),
    ];
    for (what, bodies) in lies {
        let mut world = World::new().await;
        let (mut stream, mut runner, number) = begun(&mut world).await;
        if what == "over the credit" {
            // More than the window, without waiting for credit.
            for piece in 0..30 {
                let body = output(1, piece * 200_000, vec![0; 200_000]);
                runner.send(number, body).await;
            }
            // Not read meanwhile: the window is full long before.
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        for body in bodies {
            runner.send(number, body).await;
        }
        let status = loop {
            match next(&mut stream).await {
                Ok(Some(Event::Output(_))) => {}
                other => break other.expect_err(what),
            }
        };
        assert_eq!(reason(&status), Reason::UpstreamUnavailable, "{what}");
        let closed = async { while runner.next().await.is_some() {} };
        timeout(Duration::from_secs(20), closed).await.expect(what);
    }
}

#[tokio::test]
async fn garbage_is_an_error_and_the_next_link_is_a_new_one() {
    let mut world = World::new().await;
    let (mut stream, mut runner, _) = begun(&mut world).await;
    runner.link.write_all(&[0xff; 64]).await.unwrap();
    let status = next(&mut stream).await.unwrap_err();
    assert_eq!(reason(&status), Reason::UpstreamUnavailable);
    let mut client = world.executions.clone();
    let look = tokio::spawn(async move {
        let request = GetExecutionRequest {
            execution_id: "e".into(),
            ..GetExecutionRequest::default()
        };
        client.get_execution(call(request)).await
    });
    let mut runner = world.runner(BOOT).await;
    let (number, Body::Look(_)) = runner.request().await else {
        panic!()
    };
    let found = says::execution("e", 1, 0, true);
    runner
        .send(number, from_runner::Body::Execution(found))
        .await;
    assert!(look.await.unwrap().is_ok());
}

#[tokio::test]
async fn a_reader_that_does_not_read_stops_nobody_else() {
    let mut world = World::new().await;
    let (mut stream, mut runner, number) = begun(&mut world).await;
    let mut other = world.executions.clone();
    let (mut sent, mut credit) = (0u64, 1024 * 1024u64);
    // Sends as long as there is credit; unread, that ends.
    loop {
        while credit >= 65_536 {
            let body = output(1, sent, vec![b'x'; 65_536]);
            runner.send(number, body).await;
            (sent, credit) = (sent + 65_536, credit - 65_536);
        }
        match timeout(Duration::from_millis(500), runner.request()).await {
            Ok((_, Body::Credit(more))) => credit += more.bytes,
            Ok(other) => panic!("{other:?}"),
            Err(_) => break,
        }
    }
    assert!(sent < 8 * 1024 * 1024, "{sent}");
    let look = tokio::spawn(async move {
        let request = StreamExecutionRequest {
            execution_id: "f".into(),
            ..StreamExecutionRequest::default()
        };
        let mut stream = other
            .stream_execution(call(request))
            .await
            .unwrap()
            .into_inner();
        let mut events = 0;
        while stream.message().await.unwrap().is_some() {
            events += 1;
        }
        events
    });
    let (second, _) = observe(&mut runner).await;
    for body in [started("f"), output(1, 0, "f"), says::snapshot_end(1, 0)] {
        runner.send(second, body).await;
    }
    assert_eq!(look.await.unwrap(), 3);
    let mut read = 0;
    while read < sent {
        read += text(&mut stream, read).await.len() as u64;
    }
    assert!(matches!(runner.request().await, (_, Body::Credit(_))));
}

#[tokio::test]
async fn small_output_is_joined_and_a_caller_who_leaves_is_told() {
    let mut world = World::new().await;
    let (mut stream, mut runner, number) = begun(&mut world).await;
    for line in 0..20_000u64 {
        runner
            .send(number, output(1, line * 8, format!("{line:07}\n")))
            .await;
    }
    let (mut read, mut messages) = (0, 0);
    while read < 160_000 {
        read += text(&mut stream, read).await.len() as u64;
        messages += 1;
    }
    assert!(messages < 2000, "{messages}");
    drop(stream);
    loop {
        if let (dropped, Body::Drop(_)) = runner.request().await {
            assert_eq!(dropped, number);
            break;
        }
    }
}

#[tokio::test]
async fn a_start_is_repeated_only_where_that_is_safe() {
    let mut world = World::new().await;
    let mut client = world.sandboxes.clone();
    let exec_again = tokio::spawn(async move { client.exec(call(exec())).await });
    let mut runner = world.runner(BOOT).await;
    let (_, first) = start(&mut runner).await;
    drop(runner);
    let mut runner = world.runner(BOOT).await;
    let (number, second) = start(&mut runner).await;
    assert_eq!(first, second);
    runner.send(number, started("e")).await;
    assert!(exec_again.await.unwrap().is_ok());

    let mut world = World::new().await;
    let mut client = world.sandboxes.clone();
    let exec_again = tokio::spawn(async move { client.exec(call(exec())).await });
    let mut runner = world.runner(BOOT).await;
    start(&mut runner).await;
    drop(runner);
    let _runner = world.runner(OTHER_BOOT).await;
    let status = exec_again.await.unwrap().unwrap_err();
    let problem = Problem::from_status(&status).unwrap();
    assert_eq!(problem.reason(), Reason::UpstreamUnavailable);
    assert!(problem.facts().contains(&("outcome", "ambiguous".into())));
}

#[tokio::test]
async fn a_command_is_answered_whole_or_in_time() {
    let mut world = World::new().await;
    let request = || RunCommandRequest {
        command: "true".into(),
        max_output_bytes: Some(4),
        ..RunCommandRequest::default()
    };
    let mut client = world.sandboxes.clone();
    let run = tokio::spawn(async move { client.run_command(call(request())).await });
    let mut runner = world.runner(BOOT).await;
    let (number, asked) = start(&mut runner).await;
    for body in [
        started(&asked.execution_id),
        output(1, 0, "abcdefgh"),
        ended(8, 0),
    ] {
        runner.send(number, body).await;
    }
    let answer = run.await.unwrap().unwrap().into_inner();
    assert_eq!(&answer.stdout[..], b"abgh");
    assert_eq!(
        (answer.gaps[0].start_offset, answer.gaps[0].end_offset),
        (2, 6)
    );
    assert!(answer.ended.is_some());

    let mut client = world.sandboxes.clone();
    let mut request = call(request());
    request.set_timeout(Duration::from_secs(2));
    let run = tokio::spawn(async move { client.run_command(request).await });
    let (number, asked) = loop {
        if let (number, Body::Start(asked)) = runner.request().await {
            break (number, asked);
        }
    };
    runner.send(number, started(&asked.execution_id)).await;
    let answer = run.await.unwrap().unwrap().into_inner();
    assert_eq!(answer.ended, None);
    assert_eq!(answer.execution_id, asked.execution_id);
}

#[tokio::test]
async fn a_runner_that_never_greets_is_no_runner() {
    let mut world = World::new().await;
    let mut client = world.sandboxes.clone();
    let exec = tokio::spawn(async move { client.exec(call(exec())).await });
    let mute = world.stranger().await;
    let status = exec.await.unwrap().unwrap_err();
    assert_eq!(reason(&status), Reason::UpstreamUnavailable);
    drop(mute);
}

#[tokio::test]
async fn a_provider_that_drains_ends_streams_and_no_process() {
    let mut world = World::new().await;
    let (mut stream, mut runner, _) = begun(&mut world).await;
    world.running.stop(Duration::ZERO).await;
    let status = next(&mut stream).await.unwrap_err();
    assert_eq!(reason(&status), Reason::Draining);
    while let Some(request) = runner.next().await {
        assert!(matches!(request.body, Some(Body::Drop(_))), "{request:?}");
    }
}
