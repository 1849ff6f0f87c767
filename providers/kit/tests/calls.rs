//! Calls about executions with one answer, and the logs, over a runner of a script.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::time::Duration;

use sandgate_proto::{
    Code, Problem, Reason,
    v1::{
        self, ExecutionState, GetExecutionRequest, GetSandboxLogsRequest, ListExecutionsRequest,
        LogEntry, LogSource, RenewSandboxRequest, ResizeTerminalRequest, SignalExecutionRequest,
        StartExecutionRequest, StreamExecutionRequest, WaitExecutionRequest, WriteStdinRequest,
        execution_ended::Outcome, get_sandbox_logs_response::Event as LogEvent,
    },
};
use sandgate_runner_proto::v1::{
    Done, List, Listed, StdinAccepted, from_runner::Body, to_runner::Body as Asked,
};
use support::{
    BOOT, OTHER_BOOT, World, call,
    says::{self, ended, execution, output, refused, started},
};

fn id() -> String {
    "e".to_owned()
}

/// The executions 1 to 9 of a sandbox, each with a line of output; the last one runs.
fn list(list: List) -> Body {
    let before = if list.before_number == 0 {
        10
    } else {
        list.before_number
    };
    let mut numbers: Vec<u64> = (1..before).rev().collect();
    if list.ended_after > 0 {
        numbers.retain(|number| *number < 9 && *number > list.ended_after);
    }
    // Fewer than was asked for, as a runner may.
    let more = numbers.len() > 4;
    numbers.truncate(4);
    let executions = numbers
        .into_iter()
        .map(|number| execution(&format!("e{number}"), number, 7, number < 9))
        .collect();
    Body::Listed(Listed { executions, more })
}

fn number(id: &str) -> u64 {
    id[1..].parse().unwrap()
}

/// A runner with these nine executions.
fn nine(_: u64, asked: Asked) -> Vec<Body> {
    match asked {
        Asked::List(asked) => vec![list(asked)],
        Asked::Look(look) => {
            let number = number(&look.execution_id);
            let found = execution(&look.execution_id, number, 7, number < 9);
            vec![Body::Execution(found)]
        }
        Asked::Observe(observe) => {
            let number = number(&observe.execution_id);
            let text = format!("line {number}\n");
            let from = observe.stdout_offset.unwrap_or_default();
            let mut bodies = vec![started(&observe.execution_id)];
            if from < 7 {
                bodies.push(output(1, from, text[from as usize..].to_owned()));
            }
            if number < 9 {
                bodies.push(ended(7, 0));
            } else if !observe.follow {
                bodies.push(says::snapshot_end(7, 0));
            } else {
                bodies.push(output(1, 7, "more\nrest"));
            }
            bodies
        }
        _ => Vec::new(),
    }
}

#[tokio::test]
async fn refusals_of_the_runner_have_reasons() {
    for (said, code, reason) in [
        ("NOT_FOUND", Code::NotFound, Reason::ExecutionNotFound),
        ("ID_REUSED", Code::AlreadyExists, Reason::ExecutionIdReused),
        (
            "STDIN_CLOSED",
            Code::FailedPrecondition,
            Reason::StdinClosed,
        ),
        ("NO_TERMINAL", Code::FailedPrecondition, Reason::NoTerminal),
        (
            "TOO_MANY_EXECUTIONS",
            Code::ResourceExhausted,
            Reason::TooManyExecutions,
        ),
        (
            "TOO_MANY_OBSERVERS",
            Code::ResourceExhausted,
            Reason::TooManyObservers,
        ),
        (
            "SHUTTING_DOWN",
            Code::FailedPrecondition,
            Reason::SandboxNotRunning,
        ),
        (
            "UNKNOWN_REQUEST",
            Code::Unimplemented,
            Reason::CapabilityUnsupported,
        ),
        ("whatever else", Code::Internal, Reason::Internal),
    ] {
        let mut world = World::new().await;
        world.play(move |_, _| vec![refused(said, 0)]);
        let request = StartExecutionRequest {
            execution_id: id(),
            command: "true".into(),
            ..StartExecutionRequest::default()
        };
        let status = world.executions.start_execution(call(request)).await;
        let status = status.unwrap_err();
        assert_eq!(status.code(), code, "{said}");
        assert_eq!(Problem::from_status(&status).unwrap().reason(), reason);
    }
}

#[tokio::test]
async fn offsets_that_are_too_far_name_the_right_one() {
    use tonic_types::StatusExt as _;
    let mut world = World::new().await;
    world.play(|_, _| vec![refused("OFFSET_OUT_OF_RANGE", 5)]);
    let request = WriteStdinRequest {
        execution_id: id(),
        offset: 9,
        ..WriteStdinRequest::default()
    };
    let status = world
        .executions
        .write_stdin(call(request))
        .await
        .unwrap_err();
    let info = status.get_details_error_info().unwrap();
    assert_eq!(
        (status.code(), &info.reason[..]),
        (Code::OutOfRange, "OFFSET_OUT_OF_RANGE")
    );
    assert_eq!(info.metadata["accepted_offset"], "5");
    let request = StreamExecutionRequest {
        execution_id: id(),
        stdout_offset: Some(9),
        ..StreamExecutionRequest::default()
    };
    let status = world.executions.stream_execution(call(request)).await;
    let info = status.unwrap_err().get_details_error_info().unwrap();
    assert_eq!(info.metadata["channel"], "OUTPUT_CHANNEL_STDOUT");
    assert_eq!(info.metadata["offset"], "5");
}

#[tokio::test]
async fn steering_reaches_the_runner() {
    let mut world = World::new().await;
    world.play(|_, asked| match asked {
        Asked::WriteStdin(write) => vec![Body::StdinAccepted(StdinAccepted {
            accepted_offset: write.offset + write.data.len() as u64 - 1,
        })],
        Asked::Signal(signal) => {
            assert!(signal.tree && signal.signal == 15);
            vec![Body::Done(Done { delivered: true })]
        }
        Asked::Resize(resize) => {
            assert_eq!(resize.size.unwrap().rows, 24);
            vec![Body::Done(Done { delivered: false })]
        }
        other => panic!("{other:?}"),
    });
    let request = WriteStdinRequest {
        execution_id: id(),
        offset: 4,
        data: "abc".into(),
        ..WriteStdinRequest::default()
    };
    let written = world.executions.write_stdin(call(request)).await.unwrap();
    assert_eq!(written.into_inner().accepted_offset, 6);
    let request = SignalExecutionRequest {
        execution_id: id(),
        signal: 15,
        ..SignalExecutionRequest::default()
    };
    let sent = world
        .executions
        .signal_execution(call(request))
        .await
        .unwrap();
    assert!(sent.into_inner().delivered);
    let request = |rows| ResizeTerminalRequest {
        execution_id: id(),
        rows,
        cols: 80,
        ..ResizeTerminalRequest::default()
    };
    let mut client = world.executions.clone();
    client.resize_terminal(call(request(24))).await.unwrap();
    let status = client.resize_terminal(call(request(0))).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn lists_are_paged_and_filtered() {
    let mut world = World::new().await;
    world.play(nine);
    let request = |state: ExecutionState, page_token: String| ListExecutionsRequest {
        state: state.into(),
        page_size: 3,
        page_token,
        ..ListExecutionsRequest::default()
    };
    let mut client = world.executions.clone();
    let (mut token, mut ids) = (String::new(), Vec::new());
    loop {
        let request = request(ExecutionState::Ended, token);
        let page = client
            .list_executions(call(request))
            .await
            .unwrap()
            .into_inner();
        assert!(page.executions.len() <= 3);
        ids.extend(page.executions.into_iter().map(|found| found.execution_id));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(ids, ["e8", "e7", "e6", "e5", "e4", "e3", "e2", "e1"]);
    let first = request(ExecutionState::Ended, String::new());
    let page = client
        .list_executions(call(first))
        .await
        .unwrap()
        .into_inner();
    let other = request(ExecutionState::Running, page.next_page_token);
    let status = client.list_executions(call(other)).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_renewal_tells_what_ended_once() {
    let mut world = World::new().await;
    world.play(nine);
    let renew = |ended_cursor: String| RenewSandboxRequest {
        ended_cursor,
        ..RenewSandboxRequest::default()
    };
    let mut client = world.sandboxes.clone();
    let first = client.renew_sandbox(call(renew(String::new()))).await;
    let first = first.unwrap().into_inner();
    assert_eq!(first.running_executions, 3);
    assert!(first.last_activity_time.is_some() && !first.more_ended);
    let ids: Vec<_> = (first.ended.iter())
        .map(|ended| &ended.execution.as_ref().unwrap().execution_id[..])
        .collect();
    assert_eq!(ids, ["e1", "e2", "e3", "e4", "e5", "e6", "e7", "e8"]);
    assert_eq!(&first.ended[2].tails[0].data[..], b"line 3\n");
    let second = client.renew_sandbox(call(renew(first.ended_cursor))).await;
    let second = second.unwrap().into_inner();
    assert!(second.ended.is_empty() && !second.ended_cursor.is_empty());
}

fn wait() -> WaitExecutionRequest {
    WaitExecutionRequest {
        execution_id: id(),
        wait_timeout: Some(prost_types::Duration {
            seconds: 60,
            nanos: 0,
        }),
        ..WaitExecutionRequest::default()
    }
}

/// A wait whose execution was seen to run; then the link is lost.
async fn waiting(world: &mut World) -> tokio::task::JoinHandle<v1::Execution> {
    let mut client = world.executions.clone();
    let waited = tokio::spawn(async move {
        let answer = client.wait_execution(call(wait())).await;
        answer.unwrap().into_inner().execution.unwrap()
    });
    let mut runner = world.runner(BOOT).await;
    for waits in [false, true] {
        let (call, Asked::Look(look)) = runner.request().await else {
            panic!()
        };
        assert_eq!(look.wait_ms > 0, waits);
        if !waits {
            let running = execution("e", 1, 3, false);
            runner.send(call, Body::Execution(running)).await;
        }
    }
    waited
}

#[tokio::test]
async fn waiting_survives_links() {
    let mut world = World::new().await;
    let waited = waiting(&mut world).await;
    let mut runner = world.runner(BOOT).await;
    let (number, Asked::Look(_)) = runner.request().await else {
        panic!()
    };
    let over = Body::Execution(execution("e", 1, 3, true));
    runner.send(number, over).await;
    assert_eq!(waited.await.unwrap().state(), ExecutionState::Ended);
}

#[tokio::test]
async fn waiting_in_a_sandbox_that_is_started_anew_ends_as_lost() {
    let mut world = World::new().await;
    let waited = waiting(&mut world).await;
    let _runner = world.runner(OTHER_BOOT).await;
    let found = waited.await.unwrap();
    assert_eq!(found.state(), ExecutionState::Ended);
    let ended = found.ended.unwrap();
    assert!(matches!(ended.outcome, Some(Outcome::Lost(_))));
    assert_eq!(ended.stdout.unwrap().bytes, 3);
}

#[tokio::test]
async fn an_answer_for_nobody_or_of_another_kind_breaks_the_link() {
    for body in [
        Body::Done(Done::default()),
        Body::Execution(execution("other", 1, 0, true)),
    ] {
        let mut world = World::new().await;
        world.play(move |_, _| vec![body.clone()]);
        let request = GetExecutionRequest {
            execution_id: id(),
            ..GetExecutionRequest::default()
        };
        let status = world.executions.get_execution(call(request)).await;
        let reason = Problem::from_status(&status.unwrap_err()).unwrap().reason();
        assert_eq!(reason, Reason::UpstreamUnavailable);
    }
}

fn logs() -> GetSandboxLogsRequest {
    GetSandboxLogsRequest {
        source: LogSource::Executions.into(),
        ..GetSandboxLogsRequest::default()
    }
}

/// The first so many lines, or all.
async fn lines(world: &World, request: GetSandboxLogsRequest, most: usize) -> Vec<LogEntry> {
    let mut client = world.sandboxes.clone();
    let logs = client.get_sandbox_logs(call(request)).await.unwrap();
    let mut logs = logs.into_inner();
    let mut lines = Vec::new();
    while lines.len() < most {
        let next = tokio::time::timeout(Duration::from_secs(20), logs.message());
        match next.await.expect("a line comes").unwrap() {
            None => break,
            Some(message) => match message.event.unwrap() {
                LogEvent::Entry(entry) => lines.push(entry),
                LogEvent::KeepAlive(_) => {}
            },
        }
    }
    lines
}

fn texts(lines: &[LogEntry]) -> Vec<String> {
    let text = |line: &LogEntry| String::from_utf8(line.data.to_vec()).unwrap();
    lines.iter().map(text).collect()
}

#[tokio::test]
async fn logs_are_lines_in_the_order_of_their_executions() {
    let mut world = World::new().await;
    world.play(nine);
    let all: Vec<_> = (1..=9).map(|number| format!("line {number}")).collect();
    let found = lines(&world, logs(), 99).await;
    assert_eq!(texts(&found), all);
    assert_eq!(found[4].execution_id, "e5");

    let resumed = GetSandboxLogsRequest {
        cursor: found[3].cursor.clone(),
        ..logs()
    };
    assert_eq!(texts(&lines(&world, resumed, 99).await), all[4..]);

    let tail = |tail_lines| GetSandboxLogsRequest {
        tail_lines: Some(tail_lines),
        ..logs()
    };
    assert_eq!(texts(&lines(&world, tail(3), 99).await), all[6..]);
    assert!(lines(&world, tail(0), 99).await.is_empty());

    let followed = GetSandboxLogsRequest {
        follow: true,
        tail_lines: Some(1),
        ..logs()
    };
    assert_eq!(texts(&lines(&world, followed, 2).await), ["line 9", "more"]);
}

#[tokio::test]
async fn logs_of_another_life_begin_with_a_gap() {
    let mut world = World::new().await;
    let mut client = world.sandboxes.clone();
    let first = tokio::spawn(async move {
        let logs = client.get_sandbox_logs(call(logs())).await;
        logs.unwrap().into_inner().message().await.unwrap().unwrap()
    });
    let mut runner = world.runner(OTHER_BOOT).await;
    let (number, _) = runner.request().await;
    let one = Listed {
        executions: vec![execution("e1", 1, 7, true)],
        more: false,
    };
    runner.send(number, Body::Listed(one)).await;
    let (number, _) = runner.request().await;
    for body in [started("e1"), output(1, 0, "line 1\n"), ended(7, 0)] {
        runner.send(number, body).await;
    }
    let Some(LogEvent::Entry(entry)) = first.await.unwrap().event else {
        panic!()
    };
    drop(runner);
    world.play(nine);
    let resumed = GetSandboxLogsRequest {
        cursor: entry.cursor,
        ..logs()
    };
    let found = lines(&world, resumed, 99).await;
    assert_eq!((&found[0].level[..], found.len()), ("GAP", 10));
    let system = GetSandboxLogsRequest {
        source: LogSource::System.into(),
        ..logs()
    };
    let status = world.sandboxes.get_sandbox_logs(call(system)).await;
    assert_eq!(status.unwrap_err().code(), Code::Unimplemented);
}
