//! What ran in a sandbox is told after it was stopped or deleted.

use std::time::Duration;

use sandgate_proto::{
    Reason,
    v1::{
        ExecRequest, Execution, ExecutionState, GetExecutionRequest, StreamExecutionRequest,
        exec_response, execution_ended::Outcome, stream_execution_response::Event,
    },
};
use sandgate_system::{Act, Op, World, assert_reason, eventually};
use tokio::time::{sleep, timeout};

use crate::calls::Named;

/// Lines of 8 bytes that the command writes, and what is kept of them.
const LINES: u64 = 20_000;
const WRITTEN: u64 = LINES * 8;
const TAIL: u64 = 64 << 10;

fn cancelled_by(execution: &Execution) -> String {
    assert_eq!(execution.state(), ExecutionState::Ended);
    match execution.ended.as_ref().unwrap().outcome.as_ref().unwrap() {
        Outcome::Cancelled(cancelled) => cancelled.by.clone(),
        other => panic!("{other:?}"),
    }
}

/// Begins a command that writes a lot and then stays.
async fn begin(world: &World, one: &Named) -> tonic::Streaming<sandgate_proto::v1::ExecResponse> {
    let before = world.fake.live();
    let request = ExecRequest {
        session_id: one.session_id.clone(),
        sandbox_id: one.sandbox_id.clone(),
        execution_id: "long".to_owned(),
        command: format!("lines {LINES}; hang"),
        ..Default::default()
    };
    let stream = one.client.sandboxes().exec(request).await.unwrap();
    eventually("it runs", || world.fake.live() == before + 1).await;
    stream.into_inner()
}

async fn execution(one: &Named) -> Execution {
    let request = GetExecutionRequest {
        session_id: one.session_id.clone(),
        sandbox_id: one.sandbox_id.clone(),
        execution_id: "long".to_owned(),
    };
    let found = one.client.executions().get_execution(request).await;
    found.unwrap().into_inner().execution.unwrap()
}

/// A stream from the first byte: the gap, then the tail, then the end.
async fn assert_told(one: &Named, by: &str) {
    assert_eq!(cancelled_by(&execution(one).await), by);
    let request = StreamExecutionRequest {
        session_id: one.session_id.clone(),
        sandbox_id: one.sandbox_id.clone(),
        execution_id: "long".to_owned(),
        follow: true,
        ..Default::default()
    };
    let stream = one.client.executions().stream_execution(request).await;
    let mut stream = stream.unwrap().into_inner();
    let (mut at, mut kept, mut ended) = (0, 0, None);
    while let Some(message) = stream.message().await.unwrap() {
        assert!(ended.is_none(), "something after the end");
        match message.event.unwrap() {
            Event::Gap(gap) => {
                assert_eq!(
                    (gap.start_offset, gap.reason.as_str()),
                    (at, "SANDBOX_GONE")
                );
                at = gap.end_offset;
            }
            Event::Output(output) => {
                assert_eq!(output.offset, at);
                at += output.data.len() as u64;
                kept += output.data.len() as u64;
            }
            Event::Ended(end) => ended = Some(end),
            _ => {}
        }
    }
    assert_eq!((at, kept), (WRITTEN, TAIL));
    let ended = ended.expect("no end");
    assert_eq!(ended.stdout.unwrap().bytes, WRITTEN);
    assert!(matches!(ended.outcome, Some(Outcome::Cancelled(cancelled)) if cancelled.by == by));
}

/// Reads a stream that was there before to its end, which is a proper one.
async fn assert_ends(mut stream: tonic::Streaming<sandgate_proto::v1::ExecResponse>, by: &str) {
    let (mut read, mut ended) = (0, None);
    while let Some(message) = stream.message().await.unwrap() {
        match message.event.unwrap() {
            exec_response::Event::Output(output) => read += output.data.len() as u64,
            exec_response::Event::Ended(end) => ended = Some(end),
            _ => {}
        }
    }
    assert_eq!(read, WRITTEN);
    let outcome = ended.expect("no end").outcome;
    assert!(matches!(outcome, Some(Outcome::Cancelled(cancelled)) if cancelled.by == by));
}

#[tokio::test]
async fn a_stop_ends_what_runs_and_keeps_it() {
    let world = World::start().await;
    let one = Named::running(&world.client().await).await;
    let stream = begin(&world, &one).await;
    let reader = tokio::spawn(assert_ends(stream, "SANDBOX_STOPPED"));
    one.stop().await.unwrap();
    reader.await.unwrap();
    assert_eq!(world.fake.live(), 0);
    assert_told(&one, "SANDBOX_STOPPED").await;
    // Also when it runs again, and has forgotten.
    one.start().await.unwrap();
    assert_told(&one, "SANDBOX_STOPPED").await;
}

#[tokio::test]
async fn a_delete_ends_what_runs_and_keeps_it() {
    let world = World::start().await;
    let one = Named::running(&world.client().await).await;
    let stream = begin(&world, &one).await;
    let reader = tokio::spawn(assert_ends(stream, "SANDBOX_DELETED"));
    one.delete().await.unwrap();
    reader.await.unwrap();
    assert_eq!(world.fake.live(), 0);
    assert_told(&one, "SANDBOX_DELETED").await;
    // A gateway that never saw it run tells the same.
    let beside = world.beside().await;
    let elsewhere = sandgate_system::Client::connect(beside.address()).await;
    assert_told(&one.at(&elsewhere), "SANDBOX_DELETED").await;
}

/// What is asked for while the sandbox goes to rest is told once it is saved.
async fn told_on_the_way(delete: bool, by: &'static str) {
    let world = World::start().await;
    let one = Named::running(&world.client().await).await;
    let _stream = begin(&world, &one).await;
    world.fake.set(Op::Renew, Act::Hang);
    let calls = one.clone();
    let goes = tokio::spawn(async move {
        if delete {
            calls.delete().await
        } else {
            calls.stop().await
        }
    });
    eventually("it is asked", || world.fake.pending(Op::Renew) == 1).await;
    let asks = one.clone();
    let told = tokio::spawn(async move { assert_told(&asks, by).await });
    // Who has another session learns nothing from how long it takes.
    let stranger = GetExecutionRequest {
        session_id: one.client.session().await,
        sandbox_id: one.sandbox_id.clone(),
        execution_id: "long".to_owned(),
    };
    let mut executions = one.client.executions();
    let refused = timeout(Duration::from_secs(5), executions.get_execution(stranger)).await;
    assert_reason(
        &refused.expect("it waits").unwrap_err(),
        Reason::SandboxNotFound,
        "",
    );
    sleep(Duration::from_millis(300)).await;
    assert!(!told.is_finished());
    world.fake.mend(Op::Renew);
    told.await.unwrap();
    goes.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_is_being_saved_is_waited_for() {
    told_on_the_way(false, "SANDBOX_STOPPED").await;
    told_on_the_way(true, "SANDBOX_DELETED").await;
}
