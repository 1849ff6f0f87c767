//! Commands in a sandbox, by the runner's own protocol.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use sandgate_kit::{CallContext, Reached};
use sandgate_provider_container::Link;
use sandgate_runner_proto::{
    FROM_RUNNER_BYTES, FrameReader, HIGHEST_VERSION, LOWEST_VERSION, put_frame,
    v1::{
        Cancel, Channel, Ended, FromRunner, Hello, Observe, Start, ToRunner, Welcome, WriteStdin,
        ended::Outcome, from_runner, to_runner::Body,
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout,
};

use super::PATIENCE;

const HELLO: u64 = 1;
const START: u64 = 2;
const OTHER: u64 = 3;
/// Input that goes into one frame.
const PIECE: usize = 256 * 1024;

/// What to run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Command {
    pub(crate) argv: Vec<String>,
    pub(crate) cwd: String,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) user: String,
    pub(crate) stdin: Bytes,
}

/// A command that was started, watched from its beginning.
pub(crate) struct Process {
    link: Link,
    frames: FrameReader,
    id: String,
    pub(crate) welcome: Welcome,
    pub(crate) seen: Seen,
    stdin: Bytes,
    accepted: usize,
}

/// Everything that a command did.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) ended: Option<Ended>,
}

pub(crate) fn shell(line: &str) -> Command {
    program(&["/bin/sh", "-c", line])
}

pub(crate) fn program(argv: &[&str]) -> Command {
    Command {
        argv: argv.iter().map(|argument| (*argument).to_owned()).collect(),
        ..Command::default()
    }
}

impl Process {
    pub(crate) async fn start(
        reached: Reached<Link>,
        context: &CallContext,
        command: Command,
    ) -> Self {
        let mut process = Self {
            link: reached.link,
            frames: FrameReader::new(FROM_RUNNER_BYTES),
            id: super::id(),
            welcome: Welcome::default(),
            seen: Seen::default(),
            stdin: command.stdin.clone(),
            accepted: 0,
        };
        let hello = Hello {
            lowest_version: LOWEST_VERSION,
            highest_version: HIGHEST_VERSION,
            sandbox_id: context.sandbox_id.clone(),
            generation: context.generation,
            secret: reached.secret,
        };
        process.say(HELLO, Body::Hello(hello)).await;
        match process.hear().await.expect("no answer").body {
            Some(from_runner::Body::Welcome(welcome)) => process.welcome = welcome,
            other => panic!("{other:?}"),
        }
        let start = process.describe(command);
        process.say(START, Body::Start(start)).await;
        process.feed().await;
        process
    }

    fn describe(&self, command: Command) -> Start {
        let env = command.env.iter();
        Start {
            execution_id: self.id.clone(),
            fingerprint: Bytes::from_static(b"same"),
            argv: command.argv.into_iter().map(Bytes::from).collect(),
            env: env
                .map(|(name, value)| Bytes::from(format!("{name}={value}")))
                .collect(),
            cwd: command.cwd,
            user: command.user,
            stdin_open: !self.stdin.is_empty(),
            observe: Some(Observe {
                follow: true,
                credit: u64::MAX,
                ..Observe::default()
            }),
            ..Start::default()
        }
    }

    /// Gives the next piece of input, or its end.
    async fn feed(&mut self) {
        if self.stdin.is_empty() {
            return;
        }
        let end = (self.accepted + PIECE).min(self.stdin.len());
        let write = WriteStdin {
            execution_id: self.id.clone(),
            offset: self.accepted as u64,
            data: self.stdin.slice(self.accepted..end),
            eof: end == self.stdin.len(),
        };
        self.say(OTHER, Body::WriteStdin(write)).await;
    }

    /// Ends the whole tree.
    pub(crate) async fn cancel(&mut self) {
        let cancel = Cancel {
            execution_id: self.id.clone(),
            by: "TEST".into(),
        };
        self.say(OTHER + 1, Body::Cancel(cancel)).await;
    }

    /// Waits until something was written to standard output.
    pub(crate) async fn speaks(&mut self) {
        while self.seen.stdout.is_empty() {
            assert!(self.step().await, "{:?}", self.seen.ended);
        }
    }

    /// Reads until the end of the command, or of the connection.
    pub(crate) async fn finish(mut self) -> Seen {
        while self.step().await {}
        self.seen
    }

    /// Takes one frame; false after the last.
    async fn step(&mut self) -> bool {
        let Some(frame) = self.hear().await else {
            return false;
        };
        match frame.body {
            Some(from_runner::Body::Output(output)) if output.channel() == Channel::Stderr => {
                self.seen.stderr.extend_from_slice(&output.data);
            }
            Some(from_runner::Body::Output(output)) => {
                assert_eq!(output.offset, self.seen.stdout.len() as u64);
                self.seen.stdout.extend_from_slice(&output.data);
            }
            Some(from_runner::Body::StdinAccepted(accepted)) => {
                let accepted = usize::try_from(accepted.accepted_offset).unwrap();
                let all = accepted == self.stdin.len();
                self.accepted = accepted;
                if !all {
                    self.feed().await;
                }
            }
            Some(from_runner::Body::Ended(ended)) => {
                self.seen.ended = Some(ended);
                return false;
            }
            Some(from_runner::Body::Refused(refused)) if frame.call == START => {
                panic!("{refused:?}")
            }
            _ => {}
        }
        true
    }

    async fn say(&mut self, call: u64, body: Body) {
        let mut out = BytesMut::new();
        put_frame(
            &ToRunner {
                call,
                body: Some(body),
            },
            &mut out,
        );
        self.link.write_all_buf(&mut out).await.unwrap();
        self.link.flush().await.unwrap();
    }

    async fn hear(&mut self) -> Option<FromRunner> {
        loop {
            if let Some(frame) = self.frames.next().unwrap() {
                return Some(frame);
            }
            let read = self.link.read_buf(self.frames.buffer());
            let read = timeout(PATIENCE, read).await.expect("a hanging command");
            if read.unwrap_or(0) == 0 {
                return None;
            }
        }
    }
}

impl Seen {
    pub(crate) fn outcome(&self) -> Outcome {
        let ended = self.ended.clone().expect("the connection ended first");
        ended.outcome.expect("no outcome")
    }

    pub(crate) fn code(&self) -> i32 {
        match self.outcome() {
            Outcome::ExitCode(code) => code,
            other => panic!(
                "{other:?}, stderr: {}",
                String::from_utf8_lossy(&self.stderr)
            ),
        }
    }

    /// Output of a command that succeeded.
    pub(crate) fn text(&self) -> String {
        let stderr = String::from_utf8_lossy(&self.stderr);
        assert_eq!(self.code(), 0, "stderr: {stderr}");
        String::from_utf8(self.stdout.clone()).unwrap()
    }

    pub(crate) fn start_failed(&self) -> String {
        match self.outcome() {
            Outcome::StartFailed(failed) => failed.reason,
            other => panic!("{other:?}"),
        }
    }
}
