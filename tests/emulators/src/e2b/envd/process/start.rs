//! Starts a process, reads what it prints and waits for its end.

use std::{
    collections::BTreeMap,
    os::unix::process::ExitStatusExt as _,
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use connectrpc::ConnectError;
use sandgate_e2b_envd::process::{
    StartRequest,
    process_event::{DataEvent, EndEvent, data_event::Output},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::{Child, Command},
    sync::mpsc,
};

use super::{
    outlet::{Happened, Outlet},
    table::{Running, Table},
    terminal::Terminal,
};
use crate::{
    cage::PATH,
    e2b::envd::{paths, users::User},
};

/// Most of one event: of a pipe and of a terminal, bytes.
const PIPE: usize = 32 * 1024;
const KEYS: usize = 16 * 1024;
/// How long the end of a process is remembered.
const KEPT: Duration = Duration::from_secs(30);
/// envd starts all by a shell, so that a program that is not there ends with 127.
const PLAIN: &str = r#"exec "$@""#;
/// Makes the terminal the one of a new session.
const SESSION: &str = r#"exec /usr/bin/setsid --ctty "$@""#;

/// For whom and how long.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) env: BTreeMap<String, String>,
    pub(super) user: User,
    /// Then the process is ended, though not what it started.
    pub(super) deadline: Option<Instant>,
}

impl Start {
    /// Starts it. It runs on its own from then on, whoever follows.
    ///
    /// # Errors
    /// Invalid argument where it cannot be started.
    pub(super) fn run(
        &self,
        request: StartRequest,
        table: &Arc<Table>,
    ) -> Result<(Arc<Running>, mpsc::Receiver<Happened>), ConnectError> {
        let mut command = self.command(&request)?;
        let failed =
            |error| ConnectError::invalid_argument(format!("error starting process: {error}"));
        let mut terminal = None;
        if request.pty.is_set() {
            let size = super::size(request.pty.as_option());
            let (ours, theirs) = Terminal::open(size, &self.user).map_err(failed)?;
            let copy = || theirs.try_clone().map(Stdio::from);
            command.stdin(copy().map_err(failed)?);
            command.stdout(copy().map_err(failed)?);
            command.stderr(theirs);
            terminal = Some(Arc::new(ours));
        } else {
            // Absent means open.
            let open = request.stdin.unwrap_or(true);
            command.stdin(if open { Stdio::piped() } else { Stdio::null() });
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
        }
        let mut child = command.spawn().map_err(failed)?;
        // The terminal's other end must be the processes' alone, or its end is never seen.
        drop(command);
        let running = Arc::new(Running {
            pid: child.id().unwrap_or_default(),
            config: request.process.into_option().unwrap_or_default(),
            tag: request.tag,
            outlet: Outlet::default(),
            stdin: child.stdin.take().into(),
            terminal,
        });
        let events = running.outlet.open();
        table.add(&running);
        let (table, deadline) = (Arc::clone(table), self.deadline);
        let followed = Arc::clone(&running);
        tokio::spawn(async move { live(&followed, child, deadline, &table).await });
        Ok((running, events))
    }

    fn command(&self, request: &StartRequest) -> Result<Command, ConnectError> {
        let config = request.process.as_option();
        let config = config.ok_or_else(|| ConnectError::invalid_argument("process is missing"))?;
        let cwd = paths::resolve(config.cwd.as_deref().unwrap_or_default(), &self.user);
        if !cwd.is_dir() {
            let said = format!("cwd '{}' does not exist", cwd.display());
            return Err(ConnectError::invalid_argument(said));
        }
        let how = if request.pty.is_set() { SESSION } else { PLAIN };
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", how, "sh", &config.cmd])
            .args(&config.args)
            .env_clear()
            .env("PATH", PATH)
            .env("HOME", &self.user.home)
            .env("USER", &self.user.name)
            .env("LOGNAME", &self.user.name)
            .envs(&self.env)
            .envs(&config.envs)
            .current_dir(cwd)
            .uid(self.user.uid)
            .gid(self.user.gid);
        Ok(command)
    }
}

/// From the first byte to the end, and a while beyond.
async fn live(running: &Arc<Running>, mut child: Child, deadline: Option<Instant>, table: &Table) {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let outlet = &running.outlet;
    let output = async {
        tokio::join!(
            read(stdout, outlet, Output::Stdout),
            read(stderr, outlet, Output::Stderr),
            async {
                if let Some(terminal) = &running.terminal {
                    screen(terminal, outlet).await;
                }
            },
        );
    };
    let ended = async {
        let late = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            status = child.wait() => return status,
            () = late => {}
        }
        // It may have ended in this moment.
        let _ = child.start_kill();
        child.wait().await
    };
    // The end comes after the last byte, also of what the process started and left behind.
    let ((), status) = tokio::join!(output, ended);
    outlet.end(end(status)).await;
    drop(running.stdin.lock().await.take());
    tokio::time::sleep(KEPT).await;
    table.forget(running);
}

async fn read<R: AsyncRead + Unpin>(
    pipe: Option<R>,
    outlet: &Outlet,
    output: impl Fn(Vec<u8>) -> Output,
) {
    let Some(mut pipe) = pipe else { return };
    let mut buffer = vec![0; PIPE];
    while let Ok(length @ 1..) = pipe.read(&mut buffer).await {
        tell(outlet, output(buffer[..length].to_vec())).await;
    }
}

async fn screen(terminal: &Terminal, outlet: &Outlet) {
    let mut buffer = vec![0; KEYS];
    loop {
        match terminal.read(&mut buffer).await {
            0 => return,
            length => tell(outlet, Output::Pty(buffer[..length].to_vec())).await,
        }
    }
}

async fn tell(outlet: &Outlet, output: Output) {
    let data = DataEvent {
        output: Some(output),
        ..DataEvent::default()
    };
    outlet.tell(&data).await;
}

/// The end as Go tells it.
fn end(status: std::io::Result<ExitStatus>) -> EndEvent {
    let (code, exited, status) = match status {
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => (code, true, format!("exit status {code}")),
            (None, signal) => (-1, false, format!("signal: {}", name(signal.unwrap_or(0)))),
        },
        Err(error) => (-1, false, error.to_string()),
    };
    EndEvent {
        exit_code: code,
        exited,
        error: (code != 0).then(|| status.clone()),
        status,
        ..EndEvent::default()
    }
}

fn name(signal: i32) -> String {
    let known = match signal {
        1 => "hangup",
        2 => "interrupt",
        3 => "quit",
        4 => "illegal instruction",
        6 => "aborted",
        8 => "floating point exception",
        9 => "killed",
        10 => "user defined signal 1",
        11 => "segmentation fault",
        12 => "user defined signal 2",
        13 => "broken pipe",
        14 => "alarm clock",
        15 => "terminated",
        other => return format!("signal {other}"),
    };
    known.to_owned()
}
