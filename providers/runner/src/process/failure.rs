//! Why a process could not be started, in words that say what to do.

use rustix::io::Errno;

/// A process that was not started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StartFailure {
    /// One of the reasons of `StartFailed` in the protocol.
    pub reason: &'static str,
    /// A sentence with what to do.
    pub message: String,
}

/// The step at which it went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Making the process.
    Process,
    /// A session of its own.
    Session,
    /// Input, output and error in their places.
    Descriptors,
    /// The terminal becomes the controlling one.
    Terminal,
    /// Joining the control group.
    ControlGroup,
    /// Taking on the groups.
    Groups,
    /// Taking on the user.
    User,
    /// Entering the folder.
    Folder,
    /// Becoming the program.
    Program,
}

impl StartFailure {
    pub(super) fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }

    /// From what the kernel said at a step; `what` names the folder, user or program.
    pub(super) fn at(stage: Stage, errno: Errno, what: &str) -> Self {
        match errno {
            Errno::AGAIN | Errno::NOSPC if stage != Stage::Descriptors => Self::new(
                "OUT_OF_PROCESSES",
                "The sandbox has no room for another process: end some, or raise its limit of processes.",
            ),
            Errno::NOMEM => Self::new(
                "OUT_OF_MEMORY",
                "The sandbox has not enough memory for another process: end some, or raise its limit of memory.",
            ),
            Errno::MFILE | Errno::NFILE => Self::new(
                "START_FAILED",
                "The runner has too many open files: end some executions and start this one again.",
            ),
            _ => match stage {
                Stage::Program => Self::program(errno, what),
                Stage::Folder => Self::folder(errno, what),
                Stage::User | Stage::Groups => Self::user(errno, what),
                _ => Self::new(
                    "START_FAILED",
                    format!(
                        "The process could not be prepared ({stage:?}: {errno}): start it again, and look at the host if it stays so."
                    ),
                ),
            },
        }
    }

    fn program(errno: Errno, what: &str) -> Self {
        match errno {
            Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG => Self::new(
                "PROGRAM_NOT_FOUND",
                format!("{what} is not in the sandbox: install it, or give its whole path."),
            ),
            Errno::ACCESS | Errno::ISDIR => Self::new(
                "NOT_EXECUTABLE",
                format!(
                    "{what} may not be executed by this user: set its mode with chmod +x, or choose another user."
                ),
            ),
            Errno::NOEXEC => Self::new(
                "NOT_EXECUTABLE",
                format!(
                    "{what} is neither a program for this machine nor a script that begins with `#!`: run it by its interpreter."
                ),
            ),
            Errno::PERM => Self::new(
                "NOT_PERMITTED",
                format!(
                    "The sandbox does not permit to execute {what}: choose another program or user."
                ),
            ),
            Errno::TOOBIG => Self::new(
                "ARGUMENTS_TOO_LONG",
                "Arguments and environment are too long together, or one of them is over 128 KiB: pass large data by standard input or a file.",
            ),
            Errno::LOOP => Self::new(
                "NOT_EXECUTABLE",
                format!("{what} leads through too many links: remove the circle."),
            ),
            _ => Self::new(
                "START_FAILED",
                format!(
                    "{what} could not be executed ({errno}): look at the file, and start it again."
                ),
            ),
        }
    }

    /// The file is there, but what should interpret it is not.
    pub(super) fn interpreter(what: &str) -> Self {
        Self::new(
            "NOT_EXECUTABLE",
            format!(
                "{what} is there, but not its interpreter or loader: install what its first line or its format asks for."
            ),
        )
    }

    fn folder(errno: Errno, what: &str) -> Self {
        match errno {
            Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG | Errno::LOOP => Self::new(
                "CWD_NOT_FOUND",
                format!("The folder {what} is not in the sandbox: make it, or choose another cwd."),
            ),
            _ => Self::new(
                "NOT_PERMITTED",
                format!(
                    "The user may not enter the folder {what} ({errno}): change its mode, or choose another cwd or user."
                ),
            ),
        }
    }

    fn user(errno: Errno, what: &str) -> Self {
        Self::new(
            "NOT_PERMITTED",
            format!(
                "This sandbox cannot run processes as {what} ({errno}): leave the user empty, or make a sandbox that may change users."
            ),
        )
    }
}
