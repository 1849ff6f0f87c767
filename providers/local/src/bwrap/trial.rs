//! Tries out whether bwrap can make a sandbox here, without one.

use std::{
    io, os::fd::AsFd as _, os::unix::process::CommandExt as _, path::Path, process::Stdio,
    time::Duration,
};

use command_fds::{CommandFdExt as _, FdMapping};
use tokio::{process::Command, time::timeout};

use super::{
    UserNamespace,
    args::{Root, UID, bound},
    launch::USERNS_FD,
};

/// How long a trial may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// What bwrap answers to `--version`, as in `bubblewrap 0.8.0`.
///
/// # Errors
/// Where it cannot be run.
pub(crate) async fn version(bwrap: &Path) -> io::Result<String> {
    let mut command = Command::new(bwrap);
    command
        .arg("--version")
        .env_clear()
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = timeout(DEADLINE, command.output())
        .await
        .map_err(|_| io::ErrorKind::TimedOut)??;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Runs `true` in namespaces of its own.
///
/// # Errors
/// With bwrap's own words where it cannot.
pub(crate) async fn trial(bwrap: &Path, users: Option<&UserNamespace>) -> io::Result<()> {
    let mut command = Command::from(prepared(bwrap, users)?);
    let output = timeout(DEADLINE, command.kill_on_drop(true).output());
    let output = output.await.map_err(|_| io::ErrorKind::TimedOut)??;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(io::Error::other(words))
}

fn prepared(bwrap: &Path, users: Option<&UserNamespace>) -> io::Result<std::process::Command> {
    let mut command = std::process::Command::new(bwrap);
    command.args([
        "--unshare-ipc",
        "--unshare-pid",
        "--unshare-uts",
        "--unshare-net",
    ]);
    if let Some(users) = users {
        let fd = USERNS_FD.to_string();
        command.args(["--userns", &fd]).uid(0).gid(0);
        let parent_fd = users.as_fd().try_clone_to_owned()?;
        let mapping = FdMapping {
            parent_fd,
            child_fd: USERNS_FD,
        };
        command
            .fd_mappings(vec![mapping])
            .map_err(io::Error::other)?;
    } else {
        command.arg("--unshare-user");
    }
    command.args(["--uid", UID, "--gid", UID, "--cap-drop", "ALL"]);
    command.arg("--as-pid-1");
    command
        .args(bound(&Root::found()))
        .args(["--proc", "/proc", "--dev", "/dev"]);
    command
        .args(["--", "/usr/bin/true"])
        .env_clear()
        .stdin(Stdio::null());
    Ok(command)
}
