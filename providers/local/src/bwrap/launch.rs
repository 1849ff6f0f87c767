//! Starts a bwrap that waits, its namespace made, until it is let go.

use std::{
    fs::File,
    io::{self, PipeWriter, Seek as _, Write as _},
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::CommandExt as _,
    },
    path::PathBuf,
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use command_fds::{CommandFdExt as _, FdMapping};
use rustix::{
    fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create},
    process::Pid,
};
use sandgate_kit::Command;
use thiserror::Error;
use tokio::{io::AsyncReadExt as _, process::Child, time::timeout};

use super::{
    Spawner, Status, UserNamespace,
    args::{Root, View, encoded},
    seccomp::Filters,
};
use crate::namespace::{Held, Namespace};

/// Numbers that bwrap finds its descriptors under.
pub(super) const ARGS_FD: i32 = 3;
pub(super) const REFUSED_FD: i32 = 4;
pub(super) const ABSENT_FD: i32 = 5;
pub(super) const STATUS_FD: i32 = 6;
pub(super) const BLOCK_FD: i32 = 7;
pub(super) const USERNS_FD: i32 = 8;

/// How long bwrap may take to make the namespace.
const DEADLINE: Duration = Duration::from_secs(10);

/// Text of a failure that is kept for the log, bytes.
const TEXT: u64 = 4096;

/// What is needed to start any command.
#[derive(Debug)]
pub(crate) struct Launcher {
    bwrap: PathBuf,
    spawner: Spawner,
    filters: Filters,
    roots: Vec<Root>,
}

/// Why there is no namespace.
#[derive(Debug, Error)]
pub(crate) enum LaunchError {
    /// A value holds a NUL byte.
    #[error("a NUL byte in an option")]
    Nul,
    /// Arguments and environment are longer than the kernel or bwrap takes.
    #[error("arguments and environment are too long")]
    TooLong,
    /// bwrap cannot be started at all.
    #[error("bwrap cannot be started")]
    Spawn(#[source] io::Error),
    /// bwrap ended before the namespace was there; with its own words.
    #[error("bwrap made no namespace: {0}")]
    Refused(String),
    /// Something else on the way.
    #[error("starting bwrap")]
    Io(#[from] io::Error),
}

/// A bwrap whose command has not begun.
#[derive(Debug)]
pub(crate) struct Launched {
    // The first to be dropped: were the gate closed before, the command would begin.
    namespace: Held,
    child: Child,
    status: Status,
    init: Pid,
    gate: PipeWriter,
}

impl Launched {
    /// Init of the namespace, as the host sees it. Limits put on it hold for the command.
    pub(crate) const fn init(&self) -> Pid {
        self.init
    }

    /// The processes of the command.
    pub(crate) const fn namespace(&self) -> &Arc<Namespace> {
        &self.namespace.0
    }

    /// Lets the command begin.
    pub(crate) fn release(mut self) -> io::Result<(Child, Status, Held)> {
        self.gate.write_all(b"\n")?;
        Ok((self.child, self.status, self.namespace))
    }
}

impl Launcher {
    /// Must be called within a runtime.
    pub(crate) fn new(bwrap: PathBuf) -> io::Result<Self> {
        // What this process inherited and was not told about would be passed on through bwrap, and a
        // folder of the host among it would be a way out.
        close_fds::set_fds_cloexec_threadsafe(ARGS_FD, &[]);
        let filters = Filters::new().map_err(io::Error::other)?;
        Ok(Self {
            bwrap,
            spawner: Spawner::start()?,
            filters,
            roots: Root::found(),
        })
    }

    /// Starts a bwrap for `command` and waits until its namespace is there. Not to be dropped half
    /// way: a gate that closes lets the command begin, and nobody would know of it.
    pub(crate) async fn launch(
        &self,
        view: &View<'_>,
        users: Option<&UserNamespace>,
        command: &Command,
    ) -> Result<Launched, LaunchError> {
        let (status, status_writer) = io::pipe()?;
        let (gate_reader, gate) = io::pipe()?;
        let args = encoded(view, &self.roots).ok_or(LaunchError::Nul)?;
        let mut fds = vec![
            (ARGS_FD, memory(&args)?),
            (REFUSED_FD, memory(self.filters.refused())?),
            (ABSENT_FD, memory(self.filters.absent())?),
            (STATUS_FD, status_writer.into()),
            (BLOCK_FD, gate_reader.into()),
        ];
        if let Some(users) = users {
            fds.push((USERNS_FD, users.as_fd().try_clone_to_owned()?));
        }
        let process = self.process(command, users.is_some(), fds)?;
        let child = self.spawner.spawn(process).await.map_err(|error| {
            if error.kind() == io::ErrorKind::ArgumentListTooLong {
                return LaunchError::TooLong;
            }
            LaunchError::Spawn(error)
        })?;
        let begun = begun(child, Status::new(status.into())?, gate);
        timeout(DEADLINE, begun)
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }

    fn process(
        &self,
        command: &Command,
        as_root: bool,
        fds: Vec<(i32, OwnedFd)>,
    ) -> io::Result<tokio::process::Command> {
        let mut process = std::process::Command::new(&self.bwrap);
        process
            .args(["--args", &ARGS_FD.to_string(), "--"])
            .args(&command.argv);
        // Nothing of ours goes inside, and its messages come in one language.
        process.env_clear();
        let stdin = match command.stdin.is_empty() {
            true => Stdio::null(),
            // A sealed memory file: no task has to feed it, and nobody can make it grow.
            false => memory(&command.stdin)?.into(),
        };
        process
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // Signals of the provider's terminal are not for its sandboxes.
        process.process_group(0);
        if as_root {
            // Setting the ids anew also clears root's other groups, which would go inside.
            process.uid(0).gid(0);
        }
        let mappings = fds.into_iter().map(|(child_fd, parent_fd)| FdMapping {
            parent_fd,
            child_fd,
        });
        process
            .fd_mappings(mappings.collect())
            .map_err(io::Error::other)?;
        let mut process = tokio::process::Command::from(process);
        process.kill_on_drop(true);
        Ok(process)
    }
}

async fn begun(
    mut child: Child,
    mut status: Status,
    gate: PipeWriter,
) -> Result<Launched, LaunchError> {
    if let Some(report) = status.next().await?
        && let Some(init) = report.child_pid.and_then(Pid::from_raw)
        && let Some(inode) = report.pid_namespace
    {
        let namespace = Held(Arc::new(Namespace::of(init, inode)?));
        return Ok(Launched {
            namespace,
            child,
            status,
            init,
            gate,
        });
    }
    let mut text = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        stderr.take(TEXT).read_to_end(&mut text).await?;
    }
    let text = String::from_utf8_lossy(&text).trim().to_owned();
    // bwrap takes 9,000 of them (MAX_ARGS in bubblewrap.c).
    if text.starts_with("bwrap: Exceeded maximum number of arguments") {
        return Err(LaunchError::TooLong);
    }
    Err(LaunchError::Refused(text))
}

/// A file in memory that nobody can change any more.
fn memory(content: &[u8]) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut file = File::from(memfd_create("sandgate", flags)?);
    file.write_all(content)?;
    file.rewind()?;
    fcntl_add_seals(
        &file,
        SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE,
    )?;
    Ok(file.into())
}
