//! `visit`: frames in the environment, answers on standard output, and a runner that stays.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use sandgate_runner_proto::{
    FROM_RUNNER_BYTES, FrameReader, VISIT_FILE, VISIT_VARIABLE, put_frame,
    v1::{
        Cancel, Cancelled, FromRunner, Hello, Observe, Shutdown, Start, ToRunner, WriteStdin,
        ended::Outcome,
    },
};
use tempfile::TempDir;

use crate::{
    client::{Ask, Said, Seen, all, observe, shell},
    program::{PROGRAM, wait_until},
};

const CALL: u64 = 7;

/// A sandbox in which nothing runs yet.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn socket(&self) -> PathBuf {
        self.0.path().join("in/socket")
    }

    fn spawn(&self, ask: Ask) -> Child {
        let options = [
            "--spool-dir",
            self.0.path().to_str().unwrap(),
            "--grace",
            "50",
        ];
        spawn(&self.socket(), &options, ask)
    }

    /// What a visit is answered, without the greeting.
    fn visit(&self, ask: Ask) -> Vec<Said> {
        let (said, status) = answers(self.spawn(ask));
        assert!(status.success());
        said
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.socket().exists() {
            let asked = Shutdown::default();
            let _ = answers(spawn(&self.socket(), &[], Ask::Shutdown(asked)));
        }
    }
}

fn spawn(socket: &Path, options: &[&str], ask: Ask) -> Child {
    let mut frames = Vec::new();
    for (call, body) in [(1, Ask::Hello(hello())), (CALL, ask)] {
        let body = Some(body);
        put_frame(&ToRunner { call, body }, &mut frames);
    }
    let mut command = Command::new(PROGRAM);
    command.arg("visit").arg("--socket").arg(socket);
    if !options.is_empty() {
        command.arg("--").args(options);
    }
    let text = BASE64_STANDARD.encode(frames);
    for (part, text) in text.as_bytes().chunks(96 * 1024).enumerate() {
        let text = std::str::from_utf8(text).unwrap();
        command.env(format!("{VISIT_VARIABLE}_{part}"), text);
    }
    command.stdout(Stdio::piped()).spawn().unwrap()
}

fn hello() -> Hello {
    Hello {
        lowest_version: 1,
        highest_version: u32::MAX,
        ..Hello::default()
    }
}

fn answers(child: Child) -> (Vec<Said>, ExitStatus) {
    let output = child.wait_with_output().unwrap();
    let mut reader = FrameReader::new(FROM_RUNNER_BYTES);
    reader.buffer().extend_from_slice(&output.stdout);
    let mut said = Vec::new();
    while let Some(frame) = reader.next::<FromRunner>().unwrap() {
        if frame.call == CALL {
            said.push(frame.body.unwrap());
        }
    }
    (said, output.status)
}

fn watched(id: &str, line: &str) -> Ask {
    let Ask::Start(start) = shell(id, line) else {
        panic!("shell starts");
    };
    let observe = Some(Observe {
        follow: true,
        credit: u64::MAX,
        ..Observe::default()
    });
    Ask::Start(Start { observe, ..start })
}

fn seen(said: Vec<Said>) -> Seen {
    let mut seen = Seen::default();
    let count = said.len();
    for (at, said) in said.into_iter().enumerate() {
        assert_eq!(seen.take(said), at + 1 == count, "ends with the last");
    }
    seen
}

#[test]
fn the_first_visit_starts_a_runner_and_later_ones_find_it() {
    let place = Place::new();
    let one = seen(place.visit(watched("one", "seq 1 100000; exit 3")));
    assert_eq!(one.outcome(), Outcome::ExitCode(3));
    assert_eq!(one.bytes[1].len(), 588_895);
    let again = seen(place.visit(observe("one", all())));
    assert!(again.bytes[1] == one.bytes[1]);
    let other = seen(place.visit(watched("two", "env")));
    assert!(!other.text(1).contains(VISIT_VARIABLE), "{}", other.text(1));
}

#[test]
fn many_first_visits_start_one_runner() {
    let place = Place::new();
    let visits: Vec<Child> = (0..8)
        .map(|number| place.spawn(shell(&format!("e{number}"), "sleep 1")))
        .collect();
    for visit in visits {
        assert!(answers(visit).1.success());
    }
    let listed = place.visit(Ask::List(Default::default()));
    let [Said::Listed(listed)] = &listed[..] else {
        panic!("{listed:?}");
    };
    assert_eq!(listed.executions.len(), 8);
}

#[test]
fn input_of_a_megabyte_fits_and_is_taken_once() {
    let place = Place::new();
    let Ask::Start(start) = shell("sum", "wc -c") else {
        panic!("shell starts");
    };
    let stdin_open = true;
    let said = place.visit(Ask::Start(Start {
        stdin_open,
        observe: None,
        ..start
    }));
    assert!(matches!(&said[..], [Said::Started(_)]), "{said:?}");
    let write = |offset: u64, size: usize, eof: bool| {
        let said = place.visit(Ask::WriteStdin(WriteStdin {
            execution_id: "sum".to_owned(),
            offset,
            data: vec![b'x'; size].into(),
            eof,
        }));
        let [Said::StdinAccepted(accepted)] = &said[..] else {
            panic!("{said:?}");
        };
        accepted.accepted_offset
    };
    assert_eq!(write(0, 900_000, false), 900_000);
    assert_eq!(write(0, 900_000, false), 900_000);
    assert_eq!(write(900_000, 0, true), 900_000);
    let seen = seen(place.visit(observe("sum", all())));
    assert_eq!(seen.text(1).trim(), "900000");
}

#[test]
fn who_ends_a_visit_ends_its_observation_and_not_the_command() {
    let place = Place::new();
    let mut visit = place.spawn(watched("long", "echo up; sleep 100"));
    wait_until(|| place.socket().exists());
    wait_until(|| {
        let said = place.visit(Ask::List(Default::default()));
        matches!(&said[..], [Said::Listed(listed)] if listed.executions.len() == 1)
    });
    visit.kill().unwrap();
    visit.wait().unwrap();
    let cancelled = place.visit(Ask::Cancel(Cancel {
        execution_id: "long".to_owned(),
        by: "TEST".to_owned(),
    }));
    assert!(matches!(&cancelled[..], [Said::Done(done)] if done.delivered));
    let seen = seen(place.visit(observe("long", all())));
    let by = "TEST".to_owned();
    assert_eq!(seen.outcome(), Outcome::Cancelled(Cancelled { by }));
    assert_eq!(seen.text(1), "up\n");
}

#[test]
fn without_a_runner_and_the_means_to_start_one_it_fails() {
    let place = Place::new();
    let (said, status) = answers(spawn(&place.socket(), &[], Ask::List(Default::default())));
    assert!(said.is_empty() && !status.success());
}

#[test]
fn frames_can_come_in_a_file() {
    let place = Place::new();
    let mut frames = Vec::new();
    for (call, body) in [(1, Ask::Hello(hello())), (CALL, watched("a", "echo x"))] {
        let body = Some(body);
        put_frame(&ToRunner { call, body }, &mut frames);
    }
    let file = place.0.path().join("frames");
    std::fs::write(&file, frames).unwrap();
    let mut command = Command::new(PROGRAM);
    command.arg("visit").arg("--socket").arg(place.socket());
    command.args(["--", "--spool-dir", place.0.path().to_str().unwrap()]);
    command.env(VISIT_FILE, &file).stdout(Stdio::piped());
    let (said, status) = answers(command.spawn().unwrap());
    assert!(status.success());
    assert_eq!(seen(said).text(1), "x\n");
    assert!(!file.exists());
    // Nor does anything that runs see where it was.
    let said = seen(place.visit(watched("b", "env")));
    assert!(!said.text(1).contains(VISIT_VARIABLE));
}
