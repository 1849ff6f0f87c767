//! Processes of the sandbox: started as another user if wanted, with pipes or a terminal, and found
//! again with all that they started when they have to end.

mod cgroup;
mod environment;
mod failure;
mod into_cgroup;
mod keeper;
mod launch;
mod marks;
mod oom;
mod scan;
mod send;
mod tree;
mod users;
mod wires;
mod worker;

use std::{os::fd::OwnedFd, path::PathBuf};

pub(crate) use self::{
    failure::StartFailure, keeper::Keeper, tree::Tree, wires::resize, worker::Worker,
};

/// What to run.
#[derive(Clone)]
pub(crate) struct Command {
    /// Program and arguments; a program without a slash is looked up in the PATH of `env`.
    pub(crate) argv: Vec<Vec<u8>>,
    /// `NAME=value`, all of it. HOME, USER, LOGNAME and SHELL are added if they are missing.
    pub(crate) env: Vec<Vec<u8>>,
    /// Absolute folder.
    pub(crate) cwd: PathBuf,
    /// User or uid, with `:group` or `:gid` if wanted. Empty: the runner's own.
    pub(crate) user: String,
    /// Rows and columns of a terminal; none: pipes.
    pub(crate) terminal: Option<(u16, u16)>,
    /// Whether it has standard input. Without, it reads from /dev/null; a terminal has its own.
    pub(crate) stdin: bool,
}

/// A process that runs. Our ends do not block and close on exec.
pub(crate) struct Child {
    /// Its number, and that of its session and process group.
    pub(crate) pid: i32,
    /// For writing.
    pub(crate) stdin: Option<OwnedFd>,
    /// For reading.
    pub(crate) stdout: Option<OwnedFd>,
    /// For reading.
    pub(crate) stderr: Option<OwnedFd>,
    /// Master of its terminal, both ways.
    pub(crate) terminal: Option<OwnedFd>,
    /// Name or number of the user in effect.
    pub(crate) user: String,
    /// It and all that it will start.
    pub(crate) tree: Tree,
}

#[cfg(test)]
mod support_tests;
