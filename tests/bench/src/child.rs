//! A process that the benchmark started, and ends again on every way out.

use std::{net::SocketAddr, process::Stdio, time::Duration};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    time::timeout,
};

use crate::error::{Error, Result};

/// How long a process may take to serve.
pub(crate) const START: Duration = Duration::from_secs(20);
/// How long it may take to end before it is killed.
const END: Duration = Duration::from_secs(10);

/// A running process. Dropping it asks it to end.
pub(crate) struct Running {
    program: String,
    child: Child,
}

impl Running {
    /// Starts a program; `hint` says what to do where that fails.
    pub(crate) fn start(command: &mut Command, hint: &'static str) -> Result<Self> {
        let program = command
            .as_std()
            .get_program()
            .to_string_lossy()
            .into_owned();
        match command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn() {
            Ok(child) => Ok(Self { program, child }),
            Err(source) => Err(Error::Start {
                program,
                source,
                hint,
            }),
        }
    }

    /// The address at the end of the line that says that it serves.
    pub(crate) async fn ready(&mut self) -> Result<SocketAddr> {
        let Some(stdout) = self.child.stdout.take() else {
            return Err(self.failed("has no output"));
        };
        let mut lines = BufReader::new(stdout).lines();
        let line = timeout(START, lines.next_line()).await;
        let address = match &line {
            Ok(Ok(Some(line))) => line.rsplit(' ').next().and_then(|word| word.parse().ok()),
            _ => None,
        };
        address.ok_or_else(|| self.failed("did not say where it serves"))
    }

    /// Its process id, while it runs.
    pub(crate) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Whether it has ended already, and how.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(self.failed(&format!("ended with {status}"))),
            Err(error) => Err(self.failed(&error.to_string())),
        }
    }

    /// Ends it, by force where it does not end by itself.
    pub(crate) async fn stop(mut self) {
        self.ask_to_end();
        if timeout(END, self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
    }

    /// A failure of this program.
    pub(crate) fn failed(&self, what: &str) -> Error {
        Error::Program {
            program: self.program.clone(),
            what: what.to_owned(),
        }
    }

    /// Lets it stand still.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on after that.
    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn ask_to_end(&self) {
        self.signal(Signal::TERM);
        // One that stands still hears nothing.
        self.thaw();
    }

    fn signal(&self, signal: Signal) {
        // The id is there until the process has been waited for, so it is never another's.
        let pid = self
            .child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        if let Some(pid) = pid {
            let _ = kill_process(pid, signal);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.ask_to_end();
    }
}
