//! One of the real programs, killed and started again at the same address.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::PathBuf,
    process::Stdio,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::{sleep, timeout},
};

use crate::{
    config::foreign_settings,
    failure::{Failure, Result, broken, setup},
};

/// How long it may take to serve.
const READY: Duration = Duration::from_secs(30);
/// Lines of its log that a failure shows.
const TAIL: usize = 15;

/// A program. It is killed when this is dropped.
pub(crate) struct Program {
    path: PathBuf,
    arguments: Vec<String>,
    settings: Vec<(&'static str, String)>,
    /// On top of those, until they are replaced.
    more: Vec<(&'static str, String)>,
    log: PathBuf,
    running: Option<Running>,
}

struct Running {
    child: Child,
    /// Held, so that it can write there.
    _lines: Lines<BufReader<ChildStdout>>,
}

impl Program {
    /// A program with its settings, as environment; its log goes to a file.
    pub(crate) fn new(path: PathBuf, settings: Vec<(&'static str, String)>, log: PathBuf) -> Self {
        Self {
            path,
            arguments: Vec::new(),
            settings,
            more: Vec::new(),
            log,
            running: None,
        }
    }

    /// The same program with these arguments.
    pub(crate) fn with(self, arguments: Vec<String>) -> Self {
        Self { arguments, ..self }
    }

    /// Starts it and waits until it says that it serves, at the address of its settings.
    pub(crate) async fn start(&mut self, due: SocketAddr) -> Result<()> {
        let mut child = self.spawn()?;
        let name = self.path.display();
        let Some(stdout) = child.stdout.take() else {
            return Err(setup(format!("{name} has no output")));
        };
        let mut lines = BufReader::new(stdout).lines();
        let line = match timeout(READY, lines.next_line()).await {
            Err(_) => return broken(format!("{name} does not serve within {READY:?}")),
            Ok(line) => line.ok().flatten().unwrap_or_default(),
        };
        let address = line
            .split_whitespace()
            .last()
            .and_then(|at| at.parse().ok());
        if address != Some(due) {
            return broken(format!("{name} does not serve at {due}, it says {line:?}"));
        }
        self.running = Some(Running {
            child,
            _lines: lines,
        });
        Ok(())
    }

    /// Starts it and kills it so soon that it may not serve yet.
    pub(crate) async fn stumble(&mut self, after: Duration) -> Result<()> {
        let mut child = self.spawn()?;
        sleep(after).await;
        let killed = child.kill().await;
        killed.map_err(|error| setup(format!("{} cannot be killed: {error}", self.path.display())))
    }

    fn spawn(&self) -> Result<Child> {
        let name = self.path.display().to_string();
        let unusable = |error: std::io::Error| {
            setup(format!(
                "{name} cannot be started: {error}; `make build` makes it"
            ))
        };
        let log = File::options().create(true).append(true).open(&self.log);
        let mut command = Command::new(&self.path);
        for setting in foreign_settings() {
            command.env_remove(setting);
        }
        command
            .args(&self.arguments)
            .envs(self.settings.iter().chain(&self.more).cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log.map_err(unusable)?)
            .kill_on_drop(true)
            .spawn()
            .map_err(unusable)
    }

    /// Kills it, without a word before, and waits until it is gone.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        let Some(mut running) = self.running.take() else {
            return Ok(());
        };
        let name = self.path.display().to_string();
        if let Ok(Some(status)) = running.child.try_wait() {
            return broken(format!("{name} ended by itself: {status}"));
        }
        let killed = running.child.kill().await;
        killed.map_err(|error| Failure::Setup(format!("{name} cannot be killed: {error}")))
    }

    /// Asks it to end, and waits until it has; one that does not is killed.
    pub(crate) async fn finish(&mut self) -> Result<()> {
        let child = self.running.as_ref().and_then(|running| running.child.id());
        let pid = child.and_then(|id| Pid::from_raw(id.try_into().ok()?));
        if let Some(pid) = pid {
            // One that has ended meanwhile is no other by now: nobody has waited for it.
            let _ = kill_process(pid, Signal::TERM);
        }
        if self.ends_within(READY).await {
            return Ok(());
        }
        self.kill().await
    }

    /// Starts it anew, if need be after a kill, with these settings on top of its own.
    pub(crate) async fn restart(
        &mut self,
        due: SocketAddr,
        more: Vec<(&'static str, String)>,
    ) -> Result<()> {
        if !self.ends_within(Duration::ZERO).await {
            self.kill().await?;
        }
        self.more = more;
        self.start(due).await
    }

    /// Whether it has ended by itself, or does so within this time.
    pub(crate) async fn ends_within(&mut self, time: Duration) -> bool {
        if let Some(running) = &mut self.running
            && timeout(time, running.child.wait()).await.is_ok()
        {
            self.running = None;
        }
        self.running.is_none()
    }

    /// All of its log so far.
    pub(crate) fn words(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The end of its log.
    pub(crate) fn last_words(&self) -> String {
        let text = self.words();
        let lines: Vec<&str> = text.lines().collect();
        let tail = &lines[lines.len().saturating_sub(TAIL)..];
        format!("{}:\n  {}", self.log.display(), tail.join("\n  "))
    }
}
