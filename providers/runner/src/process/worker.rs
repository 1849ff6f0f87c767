//! Starts a process that works on files: this program, as the user of the sandbox.

use std::{
    io,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::PathBuf,
};

use rustix::io::fcntl_dupfd_cloexec;

use super::{
    Keeper, StartFailure,
    environment::text,
    failure::Stage,
    keeper::errno_of,
    launch::{Plan, launch},
    users::Accounts,
};
use crate::config::own_program;

/// What one begins with.
pub(crate) struct Worker {
    /// Absolute folder.
    pub(crate) cwd: PathBuf,
    /// User or uid. Empty: the runner's own.
    pub(crate) user: String,
    /// The connection, which blocks.
    pub(crate) socket: OwnedFd,
    /// What was read of it already.
    pub(crate) before: OwnedFd,
    /// Held by it, and by nobody else, until it is over; a byte on it says that it works.
    pub(crate) life: OwnedFd,
}

impl Keeper {
    /// Starts one; it ends with its connection.
    pub(crate) fn work(&self, worker: &Worker) -> Result<(), StartFailure> {
        let identity = Accounts::read(&worker.user).resolve(&worker.user, &self.own)?;
        let broken =
            |error: io::Error| StartFailure::at(Stage::Descriptors, errno_of(&error), &worker.user);
        let own = own_program().map_err(broken)?;
        let above = |fd: &OwnedFd| fcntl_dupfd_cloexec(fd.as_fd(), 3).map_err(io::Error::from);
        let wires = [
            above(&worker.socket).map_err(broken)?,
            above(&worker.before).map_err(broken)?,
            above(&worker.life).map_err(broken)?,
        ];
        let ids = (identity.uid, identity.gid);
        let groups = (identity.groups != self.own.groups).then_some(&identity.groups[..]);
        let plan = Plan {
            programs: &[text(own.as_os_str().as_bytes())?],
            arguments: &[c"sandgate-runner".to_owned(), c"files".to_owned()],
            environment: &[],
            folder: &text(worker.cwd.as_os_str().as_bytes())?,
            wires: &wires,
            terminal: false,
            cgroup: None,
            groups,
            ids: (ids != (self.own.uid, self.own.gid)).then_some(ids),
        };
        let started = launch(&plan);
        started
            .map(drop)
            .map_err(|(stage, errno)| StartFailure::at(stage, errno, &worker.cwd.to_string_lossy()))
    }
}
