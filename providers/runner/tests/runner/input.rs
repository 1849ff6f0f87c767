//! Standard input: closed unless asked for, idempotent by offset.

use bytes::Bytes;
use sandgate_runner_proto::v1::{Start, TerminalSize, WriteStdin, ended::Outcome};

use crate::{
    client::{Ask, Client, Said, start},
    program::Runner,
};

fn write(client: &mut Client, offset: u64, data: &[u8], eof: bool) -> Said {
    client.ask(Ask::WriteStdin(WriteStdin {
        execution_id: "a".to_owned(),
        offset,
        data: Bytes::copy_from_slice(data),
        eof,
    }))
}

fn accepted(said: &Said) -> u64 {
    match said {
        Said::StdinAccepted(accepted) => accepted.accepted_offset,
        other => panic!("{other:?}"),
    }
}

fn reason(said: Said) -> (String, u64) {
    match said {
        Said::Refused(refused) => (refused.reason, refused.offset),
        other => panic!("{other:?}"),
    }
}

#[test]
fn nothing_unless_asked_for() {
    let runner = Runner::start();
    let mut client = runner.client();
    assert_eq!(client.shell("b", "cat; echo end").text(1), "end\n");
    let start = Start {
        stdin: "first".into(),
        ..start("c", "cat; echo end")
    };
    let call = client.send(Ask::Start(start));
    assert_eq!(client.follow(call).text(1), "firstend\n");
}

#[test]
fn writes_are_idempotent() {
    let runner = Runner::start();
    let mut client = runner.client();
    let call = client.send(Ask::Start(Start {
        stdin: "abc".into(),
        stdin_open: true,
        ..start("a", "cat")
    }));
    assert_eq!(accepted(&write(&mut client, 3, b"def", false)), 6);
    assert_eq!(accepted(&write(&mut client, 3, b"def", false)), 6);
    assert_eq!(accepted(&write(&mut client, 4, b"efgh", false)), 8);
    assert_eq!(
        reason(write(&mut client, 9, b"x", false)),
        ("OFFSET_OUT_OF_RANGE".to_owned(), 8)
    );
    assert_eq!(accepted(&write(&mut client, 8, b"", true)), 8);
    assert_eq!(client.follow(call).text(1), "abcdefgh");
    assert_eq!(reason(write(&mut client, 8, b"x", false)).0, "STDIN_CLOSED");
    // The process has ended; whoever lost the answer is told again what was taken.
    assert_eq!(accepted(&write(&mut client, 8, b"", true)), 8);
    assert_eq!(accepted(&write(&mut client, 3, b"def", false)), 8);
}

#[test]
fn an_end_that_nobody_told_of_is_not_known() {
    let runner = Runner::start();
    let mut client = runner.client();
    let call = client.send(Ask::Start(Start {
        stdin_open: true,
        ..start("a", "read line")
    }));
    assert_eq!(accepted(&write(&mut client, 0, b"one\n", false)), 4);
    client.follow(call);
    assert_eq!(accepted(&write(&mut client, 0, b"one\n", false)), 4);
    assert_eq!(reason(write(&mut client, 4, b"", true)).0, "STDIN_CLOSED");
}

#[test]
fn what_does_not_fit_is_sent_again() {
    let runner = Runner::start();
    let mut client = runner.client();
    let call = client.send(Ask::Start(Start {
        stdin_open: true,
        ..start("a", "sleep 0.2; wc -c")
    }));
    let bytes = vec![b'x'; 1 << 20];
    let mut at = 0;
    while at < 5_000_000 {
        let size = bytes.len().min(5_000_000 - at as usize);
        let eof = at as usize + size == 5_000_000;
        at = accepted(&write(&mut client, at, &bytes[..size], eof));
    }
    assert_eq!(client.follow(call).text(1).trim(), "5000000");
}

#[test]
fn a_process_that_does_not_read_is_no_trouble() {
    let runner = Runner::start();
    let mut client = runner.client();
    let start = Start {
        stdin: vec![b'x'; 4_000_000].into(),
        ..start("a", "exec <&-; sleep 0.1; echo fine")
    };
    let call = client.send(Ask::Start(start));
    assert_eq!(client.follow(call).text(1), "fine\n");
}

#[test]
fn a_terminal_sees_the_end_of_input() {
    let runner = Runner::start();
    let mut client = runner.client();
    let terminal = Some(TerminalSize { rows: 24, cols: 80 });
    let call = client.send(Ask::Start(Start {
        terminal,
        stdin: "line\n".into(),
        ..start("a", "cat; echo end")
    }));
    let seen = client.follow(call);
    assert!(seen.text(3).ends_with("end\r\n"), "{:?}", seen.text(3));
    assert_eq!(seen.outcome(), Outcome::ExitCode(0));
}
