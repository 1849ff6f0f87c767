//! Executions through the gateway: started, looked at, given input, signals and a size.

use prost_types::Duration;
use sandgate_proto::{
    Reason,
    v1::{
        self, ExecutionState, GetExecutionRequest, ListExecutionsRequest, ResizeTerminalRequest,
        RunCommandRequest, SignalExecutionRequest, StartExecutionRequest, TerminalSize,
        WaitExecutionRequest, WriteStdinRequest, execution_ended::Outcome,
    },
};
use sandgate_system::{Client, Op, World, assert_reason, fact};
use tonic::Status;

/// A sandbox, and a client to do something in it.
struct Place {
    client: Client,
    session_id: String,
    sandbox_id: String,
}

impl Place {
    async fn new(world: &World) -> Self {
        let client = world.client().await;
        let (session_id, sandbox_id) = client.pair().await;
        Self {
            client,
            session_id,
            sandbox_id,
        }
    }

    fn request(&self, id: &str, command: &str) -> StartExecutionRequest {
        StartExecutionRequest {
            session_id: self.session_id.clone(),
            sandbox_id: self.sandbox_id.clone(),
            execution_id: id.to_owned(),
            command: command.to_owned(),
            ..Default::default()
        }
    }

    async fn start(
        &self,
        request: StartExecutionRequest,
    ) -> Result<v1::StartExecutionResponse, Status> {
        let mut executions = self.client.executions();
        Ok(executions.start_execution(request).await?.into_inner())
    }

    async fn get(&self, id: &str) -> Result<v1::Execution, Status> {
        let request = GetExecutionRequest {
            session_id: self.session_id.clone(),
            sandbox_id: self.sandbox_id.clone(),
            execution_id: id.to_owned(),
        };
        let answer = self.client.executions().get_execution(request).await?;
        Ok(answer.into_inner().execution.unwrap())
    }

    async fn wait(&self, id: &str, seconds: Option<i64>) -> v1::Execution {
        let request = WaitExecutionRequest {
            session_id: self.session_id.clone(),
            sandbox_id: self.sandbox_id.clone(),
            execution_id: id.to_owned(),
            wait_timeout: seconds.map(|seconds| Duration { seconds, nanos: 0 }),
        };
        let answer = self.client.executions().wait_execution(request).await;
        answer.unwrap().into_inner().execution.unwrap()
    }

    async fn write(&self, id: &str, offset: u64, data: &str, eof: bool) -> Result<u64, Status> {
        let request = WriteStdinRequest {
            session_id: self.session_id.clone(),
            sandbox_id: self.sandbox_id.clone(),
            execution_id: id.to_owned(),
            offset,
            data: data.to_owned().into(),
            eof,
        };
        let answer = self.client.executions().write_stdin(request).await?;
        Ok(answer.into_inner().accepted_offset)
    }

    async fn signal(&self, id: &str, signal_id: &str, signal: i32) -> bool {
        let request = SignalExecutionRequest {
            session_id: self.session_id.clone(),
            sandbox_id: self.sandbox_id.clone(),
            execution_id: id.to_owned(),
            signal_id: signal_id.to_owned(),
            signal,
            tree: None,
        };
        let answer = self.client.executions().signal_execution(request).await;
        answer.unwrap().into_inner().delivered
    }

    async fn resize(&self, id: &str, rows: u32, cols: u32) -> Result<(), Status> {
        let request = ResizeTerminalRequest {
            session_id: self.session_id.clone(),
            sandbox_id: self.sandbox_id.clone(),
            execution_id: id.to_owned(),
            rows,
            cols,
        };
        self.client.executions().resize_terminal(request).await?;
        Ok(())
    }

    async fn run(&self, request: RunCommandRequest) -> v1::RunCommandResponse {
        let request = RunCommandRequest {
            session_id: self.session_id.clone(),
            sandbox_id: self.sandbox_id.clone(),
            ..request
        };
        let answer = self.client.sandboxes().run_command(request).await;
        answer.unwrap().into_inner()
    }
}

fn outcome(execution: &v1::Execution) -> &Outcome {
    let ended = execution.ended.as_ref().expect("it has ended");
    ended.outcome.as_ref().unwrap()
}

#[tokio::test]
async fn one_is_started_waited_for_and_listed() {
    let world = World::start().await;
    let place = Place::new(&world).await;
    let request = StartExecutionRequest {
        env: [("NAME".to_owned(), "value".to_owned())].into(),
        cwd: "/tmp".to_owned(),
        ..place.request("a", "print x; sleep 200; exit 3")
    };
    let begun = place.start(request.clone()).await.unwrap();
    assert!(!begun.attached);
    let execution = begun.execution.unwrap();
    assert_eq!(execution.execution_id, "a");
    assert_eq!(execution.sandbox_id, place.sandbox_id);
    let waited = place.wait("a", Some(0)).await;
    assert_eq!(waited.state(), ExecutionState::Running);
    let waited = place.wait("a", None).await;
    assert_eq!(waited.state(), ExecutionState::Ended);
    assert_eq!(*outcome(&waited), Outcome::ExitCode(3));
    assert_eq!(waited.command, "print x; sleep 200; exit 3");
    assert_eq!(waited.totals.unwrap().stdout.unwrap().bytes, 1);
    // The same start again is the same execution.
    let again = place.start(request).await.unwrap();
    assert!(again.attached);
    assert_eq!(again.execution.unwrap().state(), ExecutionState::Ended);
    let start = world.fake.calls(Op::Exec).remove(0).start.unwrap();
    assert!(start.env.iter().any(|entry| entry == "NAME=value"));
    assert_eq!(start.cwd, "/tmp");

    place.start(place.request("b", "hang")).await.unwrap();
    let list = |page_token: String| {
        let request = ListExecutionsRequest {
            session_id: place.session_id.clone(),
            sandbox_id: place.sandbox_id.clone(),
            page_size: 1,
            page_token,
            ..Default::default()
        };
        let mut executions = place.client.executions();
        async move {
            executions
                .list_executions(request)
                .await
                .unwrap()
                .into_inner()
        }
    };
    let first = list(String::new()).await;
    assert_eq!(first.executions[0].execution_id, "b");
    let second = list(first.next_page_token).await;
    assert_eq!(second.executions[0].execution_id, "a");
    assert_eq!(second.next_page_token, "");
}

#[tokio::test]
async fn one_that_is_not_there_is_not_found() {
    let world = World::start().await;
    let place = Place::new(&world).await;
    let refused = place.get("nobody").await.unwrap_err();
    assert_reason(&refused, Reason::ExecutionNotFound, "ListExecutions");
    let refused = place.write("nobody", 0, "x", false).await.unwrap_err();
    assert_reason(&refused, Reason::ExecutionNotFound, "ListExecutions");
}

#[tokio::test]
async fn input_goes_in_once_and_in_order() {
    let world = World::start().await;
    let place = Place::new(&world).await;
    let request = StartExecutionRequest {
        stdin: "first ".into(),
        stdin_open: true,
        ..place.request("in", "cat")
    };
    place.start(request).await.unwrap();
    assert_eq!(place.write("in", 6, "second ", false).await.unwrap(), 13);
    assert_eq!(place.write("in", 6, "second ", false).await.unwrap(), 13);
    assert_eq!(place.write("in", 9, "ond third", true).await.unwrap(), 18);
    let ended = place.wait("in", None).await;
    assert_eq!(ended.totals.unwrap().stdout.unwrap().bytes, 18);
    assert_eq!(ended.stdin_accepted_offset, 18);
    let refused = place.write("in", 18, "more", false).await.unwrap_err();
    assert_reason(&refused, Reason::StdinClosed, "stdin_open");

    let request = StartExecutionRequest {
        stdin_open: true,
        ..place.request("far", "cat")
    };
    place.start(request).await.unwrap();
    let refused = place.write("far", 5, "x", false).await.unwrap_err();
    assert_reason(&refused, Reason::OffsetOutOfRange, "from there on");
    assert_eq!(fact(&refused, "accepted_offset").as_deref(), Some("0"));
}

#[tokio::test]
async fn without_being_asked_for_input_is_closed() {
    let world = World::start().await;
    let place = Place::new(&world).await;
    place
        .start(place.request("closed", "cat; exit 2"))
        .await
        .unwrap();
    let ended = place.wait("closed", None).await;
    assert_eq!(*outcome(&ended), Outcome::ExitCode(2));
}

#[tokio::test]
async fn a_signal_has_effect_once() {
    let world = World::start().await;
    let place = Place::new(&world).await;
    place.start(place.request("s", "hang")).await.unwrap();
    assert!(place.signal("s", "one", 15).await);
    let ended = place.wait("s", None).await;
    let Outcome::Signaled(signaled) = outcome(&ended) else {
        panic!("{ended:?}")
    };
    assert_eq!((signaled.signal, signaled.oom_killed), (15, false));
    assert!(!place.signal("s", "two", 9).await);
    assert_eq!(world.fake.kills(), 1);
}

#[tokio::test]
async fn a_timeout_is_an_outcome_and_a_program_that_is_not_there_too() {
    let world = World::start().await;
    let place = Place::new(&world).await;
    let timeout = Some(Duration {
        seconds: 0,
        nanos: 200_000_000,
    });
    let request = StartExecutionRequest {
        timeout,
        ..place.request("t", "hang")
    };
    place.start(request).await.unwrap();
    let ended = place.wait("t", None).await;
    assert!(matches!(outcome(&ended), Outcome::TimedOut(_)), "{ended:?}");
    place
        .start(place.request("n", "no such step"))
        .await
        .unwrap();
    let ended = place.wait("n", None).await;
    let Outcome::StartFailed(failed) = outcome(&ended) else {
        panic!("{ended:?}")
    };
    assert_eq!(failed.reason, "PROGRAM_NOT_FOUND");
}

#[tokio::test]
async fn a_terminal_has_a_size() {
    let world = World::start().await;
    let place = Place::new(&world).await;
    let request = StartExecutionRequest {
        terminal: Some(TerminalSize { rows: 24, cols: 80 }),
        ..place.request("tty", "print x; hang")
    };
    place.start(request).await.unwrap();
    place.resize("tty", 50, 132).await.unwrap();
    let seen = place.get("tty").await.unwrap();
    let (rows, cols) = (50, 132);
    assert_eq!(seen.terminal, Some(TerminalSize { rows, cols }));
    assert!(seen.totals.unwrap().stdout.is_none());
    let refused = place.resize("tty", 0, 132).await.unwrap_err();
    assert_reason(&refused, Reason::InvalidField, "65,535");
    place.start(place.request("pipes", "hang")).await.unwrap();
    let refused = place.resize("pipes", 50, 132).await.unwrap_err();
    assert_reason(&refused, Reason::NoTerminal, "terminal");
}

#[tokio::test]
async fn a_command_answers_with_its_output() {
    let world = World::start().await;
    let place = Place::new(&world).await;
    let ran = place
        .run(RunCommandRequest {
            command: "print out; complain oops; exit 4".to_owned(),
            ..Default::default()
        })
        .await;
    assert_eq!(ran.sandbox_id, place.sandbox_id);
    assert_eq!(ran.stdout, "out");
    assert_eq!(ran.stderr, "oops");
    assert_eq!(ran.ended.unwrap().outcome, Some(Outcome::ExitCode(4)));
    let ran = place
        .run(RunCommandRequest {
            command: "lines 1000".to_owned(),
            max_output_bytes: Some(16),
            keep: v1::OutputKeep::Tail.into(),
            ..Default::default()
        })
        .await;
    let stdout = ran.stdout;
    assert_eq!(stdout, "0000998\n0000999\n");
    assert_eq!(ran.ended.unwrap().stdout.unwrap().bytes, 8000);
}

#[tokio::test]
async fn logs_hold_the_lines_of_executions() {
    let world = World::start().await;
    let place = Place::new(&world).await;
    place.start(place.request("l", "lines 3")).await.unwrap();
    place.wait("l", None).await;
    let request = |cursor: &str| v1::GetSandboxLogsRequest {
        session_id: place.session_id.clone(),
        sandbox_id: place.sandbox_id.clone(),
        cursor: cursor.to_owned(),
        ..Default::default()
    };
    let read = |request| {
        let mut sandboxes = place.client.sandboxes();
        async move {
            let mut stream = sandboxes
                .get_sandbox_logs(request)
                .await
                .unwrap()
                .into_inner();
            let mut found = Vec::new();
            while let Some(message) = stream.message().await.unwrap() {
                if let Some(v1::get_sandbox_logs_response::Event::Entry(entry)) = message.event {
                    found.push(entry);
                }
            }
            found
        }
    };
    let all = read(request("")).await;
    let lines: Vec<_> = all.iter().map(|entry| &entry.data[..]).collect();
    assert_eq!(lines, [b"0000000", b"0000001", b"0000002"]);
    assert!(all.iter().all(|entry| entry.execution_id == "l"));
    let rest = read(request(&all[1].cursor)).await;
    assert_eq!(rest.len(), 1);
    assert_eq!(rest[0].data, all[2].data);
}

#[tokio::test]
async fn what_the_provider_says_it_cannot_do_is_refused() {
    let world = World::start().await;
    let place = Place::new(&world).await;
    let request = StartExecutionRequest {
        user: "nobody".to_owned(),
        ..place.request("u", "print x")
    };
    let refused = place.start(request).await.unwrap_err();
    assert_reason(&refused, Reason::CapabilityUnsupported, "GetCapabilities");
    assert_eq!(fact(&refused, "capability").as_deref(), Some("exec_user"));
    assert_eq!(world.fake.count(Op::Exec), 0);
}
