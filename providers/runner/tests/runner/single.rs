//! One execution by `run`, with its folder, and `ctl` to reach it.

use std::{
    io::{self, Read, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use prost::Message as _;
use sandgate_runner_proto::{
    put_frame,
    v1::{Cancel, Cancelled, Hello, RunState, Start, ToRunner, ended::Outcome},
};

use crate::{
    client::{Ask, Client, Said, Seen, all, observe, shell, start},
    program::{PROGRAM, wait_until},
};

/// Both ends of a child as one stream.
struct Pipes(Option<ChildStdin>, ChildStdout);

impl Read for Pipes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1.read(buffer)
    }
}

impl Write for Pipes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.as_mut().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn spawn(args: &[&str], folder: &Path) -> (Child, Client<Pipes>) {
    let mut command = Command::new(PROGRAM);
    command.args(args).arg("--dir").arg(folder);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let pipes = Pipes(child.stdin.take(), child.stdout.take().unwrap());
    (child, Client::over(pipes))
}

fn state(folder: &Path) -> RunState {
    RunState::decode(&std::fs::read(folder.join("state")).unwrap()[..]).unwrap()
}

#[test]
fn runs_one_and_leaves_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (mut child, mut client) = spawn(&["run"], folder.path());
    let seen = client.shell("one", "seq 1 100000; echo err >&2; exit 3");
    assert_eq!(seen.outcome(), Outcome::ExitCode(3));
    assert!(client.read().is_none());
    assert!(child.wait().unwrap().success());
    let own = folder.path().join("one");
    assert!(std::fs::read(own.join("stdout")).unwrap() == seen.bytes[1]);
    assert_eq!(std::fs::read(own.join("stderr")).unwrap(), b"err\n");
    let state = state(&own);
    assert_eq!(state.ended.unwrap().outcome, Some(Outcome::ExitCode(3)));
    assert_eq!(state.channels[0].total, seen.bytes[1].len() as u64);
    assert_eq!(
        (state.channels[0].head_bytes, state.channels[0].ring_bytes),
        (1 << 20, 63 << 20)
    );
    let (mut child, mut client) = spawn(&["run"], folder.path());
    assert_eq!(client.refused(shell("one", "true")).reason, "ID_REUSED");
    assert!(child.wait().unwrap().success());
}

#[test]
fn lives_on_without_its_reader_and_is_reached_by_ctl() {
    let folder = tempfile::tempdir().unwrap();
    // The longest id: the path of its socket is longer than an address can be.
    let two = &"2".repeat(128)[..];
    let (mut child, mut client) = spawn(&["run", "--grace", "100"], folder.path());
    let call = client.send(shell(
        two,
        "echo up; while :; do sleep 0.02; echo more; done",
    ));
    let mut seen = Seen::default();
    while seen.at[1] < 3 {
        seen.take(client.next(call));
    }
    drop(client);
    let own = folder.path().join(two);
    wait_until(|| state(&own).channels[0].total > 50);
    let (mut bridge, mut client) = spawn(&["ctl", "--id", two], folder.path());
    client.hello(Hello::default()).unwrap();
    assert_eq!(
        client.refused(shell("other", "true")).reason,
        "TOO_MANY_EXECUTIONS"
    );
    let call = client.send(observe(two, all()));
    assert!(matches!(client.next(call), Said::Started(_)));
    let cancel = Cancel {
        execution_id: two.to_owned(),
        by: "USER".to_owned(),
    };
    assert!(client.delivered(Ask::Cancel(cancel)));
    let seen = client.follow(call);
    assert_eq!(
        seen.outcome(),
        Outcome::Cancelled(Cancelled {
            by: "USER".to_owned()
        })
    );
    assert!(seen.text(1).starts_with("up\nmore\n"));
    assert!(child.wait().unwrap().success());
    assert!(bridge.wait().unwrap().success());
    assert!(state(&own).ended.is_some());
}

#[test]
fn much_output_through_a_bridge() {
    let runner = crate::program::Runner::start();
    let mut child = Command::new(PROGRAM)
        .args(["bridge", "--socket"])
        .arg(runner.socket())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut client = Client::over(Pipes(child.stdin.take(), child.stdout.take().unwrap()));
    client.hello(Hello::default()).unwrap();
    let seen = client.shell("a", "seq 1 3000000");
    assert_eq!(seen.bytes[1].len(), 22_888_896);
    drop(client);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_bad_start_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let (mut child, mut client) = spawn(&["run"], folder.path());
    let mut bytes = Vec::new();
    put_frame(
        &ToRunner {
            call: 1,
            body: Some(shell("../x", "true")),
        },
        &mut bytes,
    );
    client.stream.write_all(&bytes).unwrap();
    let said = client.read().unwrap().body;
    assert!(matches!(said, Some(Said::Refused(refused)) if refused.reason == "MALFORMED"));
    assert!(child.wait().unwrap().success());
    let (mut child, mut client) = spawn(&["run"], folder.path());
    let empty = Start {
        argv: vec![],
        ..start("x", "")
    };
    assert_eq!(client.refused(Ask::Start(empty)).reason, "MALFORMED");
    assert!(child.wait().unwrap().success());
    assert!(!folder.path().join("x").exists());
}
