//! Starts that are repeated after their sandbox was started again.

use prost::Message as _;
use sandgate_proto::{
    Reason,
    v1::{
        EndedExecution, ExecRequest, ExecResponse, OutputGap, OutputKeep, RunCommandRequest,
        RunCommandResponse, StartExecutionResponse, TerminalSize, exec_response::Event,
    },
};

use super::room::{Room, ended, only, seconds, tail, wrote};

fn again(command: &str) -> ExecRequest {
    ExecRequest {
        execution_id: "e".into(),
        command: command.into(),
        ..Default::default()
    }
}

async fn is_same(seen: EndedExecution, asked: &ExecRequest) -> bool {
    let room = Room::new().await;
    room.keep(&[seen]).await;
    match room.repeat("StartExecution", asked, 1).await {
        Ok(answer) => {
            let started: StartExecutionResponse = only(answer.unwrap());
            assert!(started.attached && started.execution.unwrap().ended.is_some());
            true
        }
        Err(problem) => {
            assert_eq!(problem.reason(), Reason::ExecutionIdReused);
            false
        }
    }
}

#[tokio::test]
async fn only_what_ran_before_the_sandbox_was_started_again_is_known() {
    let room = Room::new().await;
    room.keep(&[ended("e", 10)]).await;
    let asked = again("print e");
    assert!(room.repeat("Exec", &asked, 0).await.unwrap().is_none());
    assert!(room.repeat("Exec", &asked, 1).await.unwrap().is_some());
    for (rpc, id) in [("Exec", ""), ("Exec", "new"), ("CloneRepository", "e")] {
        let asked = ExecRequest {
            execution_id: id.into(),
            ..asked.clone()
        };
        assert!(room.repeat(rpc, &asked, 1).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn another_request_is_refused() {
    let seen = ended("e", 10);
    let asked = again("print e");
    assert!(is_same(seen.clone(), &asked).await);
    let there = ExecRequest {
        cwd: "/workspace".into(),
        ..asked.clone()
    };
    assert!(is_same(seen.clone(), &there).await);
    let terminal = Some(TerminalSize { rows: 24, cols: 80 });
    let others = [
        again("print f"),
        ExecRequest {
            argv: vec!["print".into()],
            ..asked.clone()
        },
        ExecRequest {
            cwd: "/tmp".into(),
            ..asked.clone()
        },
        ExecRequest {
            timeout: Some(seconds(5)),
            ..asked.clone()
        },
        ExecRequest {
            terminal,
            ..asked.clone()
        },
    ];
    for other in others {
        assert!(!is_same(seen.clone(), &other).await, "{other:?}");
    }
    let mut limited = seen;
    let execution = limited.execution.as_mut().unwrap();
    execution.timeout = Some(seconds(5));
    // It was resized.
    execution.terminal = Some(TerminalSize { rows: 50, cols: 80 });
    let asked = ExecRequest {
        timeout: Some(prost_types::Duration {
            seconds: 5,
            nanos: 999,
        }),
        terminal,
        ..asked
    };
    assert!(is_same(limited, &asked).await);
}

#[tokio::test]
async fn a_command_that_is_shown_cut_short_is_known_again() {
    let mut seen = ended("e", 10);
    let whole = format!("cat <<END\n{}END", "x".repeat(20_000));
    whole[..16_364].clone_into(&mut seen.execution.as_mut().unwrap().command);
    assert!(is_same(seen.clone(), &again(&whole)).await);
    assert!(!is_same(seen.clone(), &again(&whole[1..])).await);
    assert!(!is_same(seen.clone(), &again(&whole[..16_000])).await);
    let execution = seen.execution.as_mut().unwrap();
    execution.command.clear();
    execution.argv = vec!["cat".into(), "y".repeat(16_300)];
    let argv = |argv: &[&str]| ExecRequest {
        argv: argv.iter().map(|text| (*text).to_owned()).collect(),
        ..again("")
    };
    let long = "y".repeat(17_000);
    assert!(is_same(seen.clone(), &argv(&["cat", &long, "more"])).await);
    assert!(!is_same(seen.clone(), &argv(&["cut", &long, "more"])).await);
    assert!(!is_same(seen, &argv(&["cat"])).await);
}

#[tokio::test]
async fn a_stream_begins_with_the_first_byte() {
    let room = Room::new().await;
    let tails = vec![tail(1, 90, b"0123456789")];
    room.keep(&[wrote("e", [100, 0], tails)]).await;
    let messages = room.repeat("Exec", &again("print e"), 1).await;
    let messages = messages.unwrap().unwrap();
    let events: Vec<_> = messages
        .into_iter()
        .map(|message| ExecResponse::decode(message).unwrap().event.unwrap())
        .collect();
    let [
        Event::Started(started),
        Event::Gap(gap),
        Event::Output(output),
        Event::Ended(end),
    ] = &events[..]
    else {
        panic!("{events:?}")
    };
    assert!(started.attached);
    assert_eq!((gap.start_offset, gap.end_offset), (0, 90));
    assert_eq!((output.offset, &output.data[..]), (90, &b"0123456789"[..]));
    assert_eq!(end.stdout.unwrap().bytes, 100);
}

/// Output and the gaps in it, of 100 bytes with these last ones.
async fn run(last: &[u8], limit: Option<u64>, keep: OutputKeep) -> (Vec<u8>, Vec<OutputGap>) {
    let room = Room::new().await;
    let tails = vec![tail(1, 100 - last.len() as u64, last)];
    room.keep(&[wrote("e", [100, 0], tails)]).await;
    let asked = RunCommandRequest {
        execution_id: "e".into(),
        command: "print e".into(),
        max_output_bytes: limit,
        keep: keep.into(),
        ..Default::default()
    };
    let answer = room.repeat("RunCommand", &asked, 1).await.unwrap();
    let ran: RunCommandResponse = only(answer.unwrap());
    assert_eq!(ran.sandbox_id, room.sandbox.sandbox_id.to_string());
    assert!(ran.ended.unwrap().outcome.is_some() && ran.stderr.is_empty());
    (ran.stdout.to_vec(), ran.gaps)
}

#[tokio::test]
async fn a_command_is_answered_with_as_much_as_is_wanted_and_kept() {
    let gap = |start_offset, end_offset, reason: &str| OutputGap {
        channel: 1,
        start_offset,
        end_offset,
        reason: reason.into(),
    };
    let gone = || gap(0, 90, "SANDBOX_GONE");
    let (head_tail, tail) = (OutputKeep::Unspecified, OutputKeep::Tail);
    let some = b"0123456789";
    let all: Vec<u8> = (0..100).collect();
    let cases: [(&[u8], _, _, Vec<u8>, _); 7] = [
        (some, None, head_tail, some.to_vec(), vec![gone()]),
        (
            some,
            Some(4),
            head_tail,
            b"6789".to_vec(),
            vec![gone(), gap(90, 96, "OUTPUT_LIMIT")],
        ),
        (
            some,
            Some(0),
            tail,
            vec![],
            vec![gone(), gap(90, 100, "OUTPUT_LIMIT")],
        ),
        (&all, None, head_tail, all.clone(), vec![]),
        (&all, Some(100), head_tail, all.clone(), vec![]),
        (
            &all,
            Some(5),
            head_tail,
            vec![0, 1, 2, 98, 99],
            vec![gap(3, 98, "OUTPUT_LIMIT")],
        ),
        (
            &all,
            Some(5),
            tail,
            vec![95, 96, 97, 98, 99],
            vec![gap(0, 95, "OUTPUT_LIMIT")],
        ),
    ];
    for (last, limit, keep, bytes, gaps) in cases {
        let ran = run(last, limit, keep).await;
        assert_eq!(ran, (bytes, gaps), "{limit:?} {keep:?}");
    }
}

#[tokio::test]
async fn more_than_a_command_can_answer_with_is_refused() {
    let room = Room::new().await;
    room.keep(&[ended("e", 10)]).await;
    let too_much = RunCommandRequest {
        execution_id: "e".into(),
        command: "print e".into(),
        max_output_bytes: Some(1_048_577),
        ..Default::default()
    };
    let refused = room.repeat("RunCommand", &too_much, 1).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::InvalidField);
}
