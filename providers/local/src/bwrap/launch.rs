//! Starts a bwrap that waits, its namespace made, until it is let go.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, PipeWriter, Read as _, Seek as _, Write as _},
    os::{
        fd::{AsFd, OwnedFd},
        unix::{fs::OpenOptionsExt as _, process::CommandExt as _},
    },
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use command_fds::{CommandFdExt as _, FdMapping};
use rustix::{
    fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create},
    process::Pid,
};
use thiserror::Error;
use tokio::time::timeout;

use super::{
    UserNamespace,
    args::{RUNNER, Root, View, encoded},
    seccomp::Filters,
    status::Status,
};
use crate::init::{Held, Init};

/// Numbers that bwrap finds its descriptors under.
pub(super) const ARGS_FD: i32 = 3;
pub(super) const REFUSED_FD: i32 = 4;
pub(super) const ABSENT_FD: i32 = 5;
pub(super) const STATUS_FD: i32 = 6;
pub(super) const BLOCK_FD: i32 = 7;
pub(super) const USERNS_FD: i32 = 8;
/// And the runner: the folder of its control groups. Not a mount, which commands could write to as
/// well: nobody else can get at what a process that is not dumpable has open.
const GROUPS_FD: i32 = 9;

/// How long bwrap may take to make the namespace.
const DEADLINE: Duration = Duration::from_secs(10);

/// Text of a failure that is kept for the log, bytes.
const TEXT: u64 = 4096;

/// What is needed to start any sandbox.
#[derive(Debug)]
pub(crate) struct Launcher {
    bwrap: PathBuf,
    filters: Filters,
    roots: Vec<Root>,
}

/// What is to run in a sandbox.
#[derive(Debug)]
pub(crate) struct Program<'a> {
    /// What it sees.
    pub(crate) view: View<'a>,
    /// The user namespace to join.
    pub(crate) users: Option<&'a UserNamespace>,
    /// The folder of its control groups.
    pub(crate) groups: Option<OwnedFd>,
    /// Options of the runner.
    pub(crate) options: Vec<OsString>,
    /// Where bwrap and the runner write what they have to complain about.
    pub(crate) log: &'a Path,
}

/// Why there is no namespace.
#[derive(Debug, Error)]
pub(crate) enum LaunchError {
    /// A value holds a NUL byte.
    #[error("a NUL byte in an option")]
    Nul,
    /// The environment has more variables than bwrap takes.
    #[error("the environment has too many variables")]
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

/// A sandbox whose first process has not begun. Dropped, it is ended.
#[derive(Debug)]
pub(crate) struct Launched {
    init: Init,
    pid: Pid,
    held: Held,
    gate: Option<PipeWriter>,
}

impl Launched {
    /// The first process.
    pub(crate) const fn init(&self) -> &Init {
        &self.init
    }

    /// Its number. Limits put on it hold for all of the sandbox.
    pub(crate) const fn pid(&self) -> Pid {
        self.pid
    }

    /// Lets it begin.
    pub(crate) fn release(mut self) -> io::Result<()> {
        let Some(mut gate) = self.gate.take() else {
            return Ok(());
        };
        let released = gate.write_all(b"\n");
        if released.is_err() {
            self.held.kill();
        }
        released
    }
}

impl Drop for Launched {
    fn drop(&mut self) {
        // Were the gate closed before, it would begin.
        if self.gate.is_some() {
            self.held.kill();
        }
    }
}

impl Launcher {
    /// Marks every descriptor that this process has by now, but the first three, as not to be
    /// inherited.
    pub(crate) fn new(bwrap: PathBuf) -> io::Result<Self> {
        // What this process inherited and was not told about would be passed on through bwrap, and a
        // folder of the host among it would be a way out.
        close_fds::set_fds_cloexec_threadsafe(ARGS_FD, &[]);
        let filters = Filters::new().map_err(io::Error::other)?;
        Ok(Self {
            bwrap,
            filters,
            roots: Root::found(),
        })
    }

    /// Starts a bwrap and waits until its namespace is there. Not to be dropped half way: a gate
    /// that closes lets the runner begin, and nobody would know of it until the next start of the
    /// provider. Must be called within a runtime, which reaps bwrap.
    pub(crate) async fn launch(&self, program: Program<'_>) -> Result<Launched, LaunchError> {
        let (status, status_writer) = io::pipe()?;
        let (gate_reader, gate) = io::pipe()?;
        let args = encoded(&program.view, &self.roots).ok_or(LaunchError::Nul)?;
        let mut fds = vec![
            (ARGS_FD, memory(&args)?),
            (REFUSED_FD, memory(self.filters.refused())?),
            (ABSENT_FD, memory(self.filters.absent())?),
            (STATUS_FD, status_writer.into()),
            (BLOCK_FD, gate_reader.into()),
        ];
        let mut options = program.options;
        if let Some(groups) = program.groups {
            fds.push((GROUPS_FD, groups));
            options.push("--cgroup".into());
            options.push(format!("/proc/self/fd/{GROUPS_FD}").into());
        }
        if let Some(users) = program.users {
            fds.push((USERNS_FD, users.as_fd().try_clone_to_owned()?));
        }
        let log = log(program.log)?;
        let process = self.process(&options, log, program.users.is_some(), fds)?;
        // Dropped, it is reaped by the runtime when it ends; until then it waits for the sandbox,
        // which needs it no more.
        drop(
            tokio::process::Command::from(process)
                .spawn()
                .map_err(LaunchError::Spawn)?,
        );
        let begun = begun(Status::new(status.into())?, gate, program.log);
        timeout(DEADLINE, begun)
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }

    fn process(
        &self,
        options: &[OsString],
        log: File,
        as_root: bool,
        fds: Vec<(i32, OwnedFd)>,
    ) -> io::Result<std::process::Command> {
        let mut process = std::process::Command::new(&self.bwrap);
        process
            .args(["--args", &ARGS_FD.to_string(), "--", RUNNER, "init"])
            .args(options);
        // Nothing of ours goes inside, and its messages come in one language.
        process.env_clear();
        process.current_dir("/");
        process
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
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
        Ok(process)
    }
}

async fn begun(mut status: Status, gate: PipeWriter, log: &Path) -> Result<Launched, LaunchError> {
    if let Some(report) = status.next().await?
        && let Some(pid) = report.child_pid.and_then(Pid::from_raw)
    {
        let init = Init::of(pid)?;
        let held = init.hold()?;
        let held = held.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        return Ok(Launched {
            init,
            pid,
            held,
            gate: Some(gate),
        });
    }
    let text = complaint(log);
    // bwrap takes 9,000 of them (MAX_ARGS in bubblewrap.c).
    if text.starts_with("bwrap: Exceeded maximum number of arguments") {
        return Err(LaunchError::TooLong);
    }
    Err(LaunchError::Refused(text))
}

fn log(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = File::options();
    options.append(true).create_new(true).mode(0o600).open(path)
}

/// What bwrap or the runner wrote there, its beginning.
pub(crate) fn complaint(log: &Path) -> String {
    let mut text = Vec::new();
    if let Ok(file) = File::open(log) {
        // What could be read is what there is to be said.
        let _ = file.take(TEXT).read_to_end(&mut text);
    }
    String::from_utf8_lossy(&text).trim().to_owned()
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
