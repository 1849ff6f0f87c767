//! A running command, in a bwrap of its own. Its namespace ends with it, and with it all that it
//! started.

mod outcome;
mod pipe;

use std::{io, os::unix::process::ExitStatusExt as _, time::Duration};

use bytes::Bytes;
use sandgate_kit::{Event, Outcome, Process};
use sandgate_proto::v1::OutputChannel;
use tokio::{
    process::{Child, ChildStderr, ChildStdout},
    time::{Instant, sleep, timeout, timeout_at},
};

use self::{
    outcome::{Seen, arguments_too_long, outcome},
    pipe::Pipe,
};
use crate::{
    bwrap::{Launched, Status},
    limits::Group,
    live::Registration,
    namespace::Held,
};

/// How long a pipe may be silent after the last process is gone before it is given up.
const DRAIN: Duration = Duration::from_secs(5);
/// How long the kernel may take to end a killed namespace, or to let go of a control group.
const END: Duration = Duration::from_secs(5);
/// More than bwrap says of a failure.
const WORDS: usize = 4096;

/// A command as the kit sees it.
#[derive(Debug)]
pub struct Running(State);

#[derive(Debug)]
enum State {
    /// It could not be handed to bwrap.
    Never,
    Begun(Box<Begun>),
}

/// A command that was handed to bwrap.
#[derive(Debug)]
struct Begun {
    child: Child,
    status: Status,
    code: Option<i32>,
    namespace: Held,
    group: Option<Group>,
    stdout: Pipe<ChildStdout>,
    stderr: Pipe<ChildStderr>,
    /// The beginning of stderr, held back while it may be bwrap's own words.
    words: Option<Vec<u8>>,
    /// Set once bwrap has ended: until when to wait for the rest of its output.
    draining: Option<Instant>,
    /// Whether bwrap or the namespace was killed before bwrap ended by itself.
    killed: bool,
    _registration: Registration,
}

/// What happened next.
enum Step {
    Stdout(Bytes),
    Stderr(Bytes),
    Exited { by_signal: bool },
    Drained,
}

impl Running {
    /// A command whose arguments are too long for the kernel.
    pub(crate) const fn too_long() -> Self {
        Self(State::Never)
    }

    /// Lets a command begin whose limits are in place.
    pub(crate) fn begin(
        launched: Launched,
        group: Option<Group>,
        registration: Registration,
    ) -> io::Result<Self> {
        let (mut child, status, namespace) = launched.release()?;
        Ok(Self(State::Begun(Box::new(Begun {
            stdout: Pipe::new(child.stdout.take()),
            stderr: Pipe::new(child.stderr.take()),
            child,
            status,
            code: None,
            namespace,
            group,
            words: Some(Vec::new()),
            draining: None,
            killed: false,
            _registration: registration,
        }))))
    }
}

impl Process for Running {
    async fn next(&mut self) -> Event {
        match &mut self.0 {
            State::Never => Event::Ended(arguments_too_long()),
            State::Begun(begun) => begun.next().await,
        }
    }

    async fn kill(&mut self, force: bool) {
        let State::Begun(begun) = &self.0 else { return };
        if force {
            return begun.namespace.0.kill();
        }
        let namespace = begun.namespace.0.clone();
        match tokio::task::spawn_blocking(move || namespace.terminate()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "cannot find the processes of a command"),
            Err(error) => tracing::warn!(%error, "sending TERM"),
        }
    }
}

impl Begun {
    /// Every await is cancel-safe, and each step leaves its result in `self`.
    async fn next(&mut self) -> Event {
        loop {
            match self.step().await {
                Step::Stdout(data) => return Event::Output(OutputChannel::Stdout, data),
                Step::Stderr(data) => {
                    if let Some(data) = self.passed(data) {
                        return Event::Output(OutputChannel::Stderr, data);
                    }
                }
                Step::Exited { by_signal } => {
                    self.killed = by_signal || self.namespace.0.was_killed();
                    // What the command left behind ends now, and with it the last writer.
                    self.namespace.0.kill();
                    self.draining = Some(Instant::now() + DRAIN);
                }
                Step::Drained => {
                    let outcome = self.outcome().await;
                    let words = self.words.take().filter(|words| !words.is_empty());
                    if let Some(words) = words
                        && !matches!(outcome, Outcome::StartFailed { .. })
                    {
                        return Event::Output(OutputChannel::Stderr, words.into());
                    }
                    return Event::Ended(outcome);
                }
            }
        }
    }

    async fn step(&mut self) -> Step {
        let Some(deadline) = self.draining else {
            return tokio::select! {
                Some(data) = self.stdout.read() => Step::Stdout(data),
                Some(data) = self.stderr.read() => Step::Stderr(data),
                status = self.child.wait() => {
                    Step::Exited { by_signal: status.is_ok_and(|status| status.signal().is_some()) }
                }
            };
        };
        let step = timeout_at(deadline, async {
            tokio::select! {
                Some(data) = self.stdout.read() => Step::Stdout(data),
                Some(data) = self.stderr.read() => Step::Stderr(data),
                else => Step::Drained,
            }
        });
        let step = step.await.unwrap_or_else(|_| {
            tracing::warn!("output of an ended command did not come to its end");
            Step::Drained
        });
        self.draining = Some(Instant::now() + DRAIN);
        step
    }

    /// What of stderr can go on. What begins like a message of bwrap is held back until it is clear
    /// whether the command ever ran.
    fn passed(&mut self, data: Bytes) -> Option<Bytes> {
        let Some(mut words) = self.words.take() else {
            return Some(data);
        };
        if words.is_empty() && !data.starts_with(b"bwrap: ") {
            return Some(data);
        }
        words.extend_from_slice(&data);
        if words.len() > WORDS {
            return Some(words.into());
        }
        self.words = Some(words);
        None
    }

    async fn outcome(&mut self) -> Outcome {
        // Before its group is asked and removed, the last process must be gone.
        if timeout(END, self.namespace.0.gone()).await.is_err() {
            tracing::warn!("a killed namespace does not end");
        }
        while let Ok(Ok(Some(report))) = timeout(END, self.status.next()).await {
            self.code = report.exit_code.or(self.code);
        }
        let seen = Seen {
            code: self.code,
            killed: self.killed,
            out_of_memory: self
                .group
                .as_ref()
                .is_some_and(|group| group.oom_kills() > 0),
            words: self.words.as_deref().unwrap_or_default(),
        };
        let outcome = outcome(&seen);
        self.leave_group().await;
        outcome
    }

    /// The kernel lets go of a group some moments after its last process.
    async fn leave_group(&self) {
        let Some(group) = &self.group else { return };
        let deadline = Instant::now() + END;
        while let Err(error) = group.remove() {
            if Instant::now() > deadline {
                tracing::warn!(%error, "a control group is left; it goes with its sandbox");
                return;
            }
            sleep(Duration::from_millis(2)).await;
        }
    }
}
