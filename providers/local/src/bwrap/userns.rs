//! The user namespace of a sandbox whose provider is root.
//!
//! bwrap, started as root, would map the sandbox's user to root of the host. It can instead join a
//! namespace that was made for it and become another user there. This one is made by `unshare` from
//! util-linux; only its maps are written here. It lives as long as its descriptor.

use std::{
    fs::{self, File},
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    process::Stdio,
    time::Duration,
};

use tokio::{io::AsyncReadExt as _, process::Command, time::timeout};

use super::args::UID;
use crate::identity::HostUser;

/// How long `unshare` may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// A user namespace of one sandbox.
#[derive(Debug)]
pub(crate) struct UserNamespace(OwnedFd);

impl UserNamespace {
    /// Makes one in which the sandbox's user is `user`.
    pub(crate) async fn make(user: HostUser) -> io::Result<Self> {
        timeout(DEADLINE, Self::made(user))
            .await
            .map_err(|_| io::ErrorKind::TimedOut)?
    }

    async fn made(user: HostUser) -> io::Result<Self> {
        let mut command = Command::new("unshare");
        command.args(["--user", "--", "/bin/sh", "-c", "echo; read _"]);
        command
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut holder = command.kill_on_drop(true).spawn()?;
        let (pid, stdout) = (holder.id(), holder.stdout.as_mut());
        let (Some(pid), Some(stdout)) = (pid, stdout) else {
            return Err(io::Error::other("unshare has no pid"));
        };
        // One line: the namespace is there.
        stdout.read_u8().await?;
        let map = map(user);
        fs::write(format!("/proc/{pid}/uid_map"), &map)?;
        fs::write(format!("/proc/{pid}/gid_map"), &map)?;
        let namespace = File::open(format!("/proc/{pid}/ns/user"))?;
        drop(holder.stdin.take());
        holder.wait().await?;
        Ok(Self(namespace.into()))
    }
}

impl AsFd for UserNamespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The sandbox's user; a root, without which no terminals can be mounted; and the host's root as
/// `nobody`, without which bwrap could not reach folders that only root can enter. bwrap must not be
/// root inside: becoming the user would then cost it the capabilities that it still needs.
fn map(user: HostUser) -> String {
    format!("0 {} 1\n{UID} {} 1\n65534 0 1\n", user.root, user.id)
}
