//! What can go wrong with files, in the words of the protocol.

use std::io;

use rustix::io::Errno;
use sandgate_runner_proto::v1::Refused;

use crate::answer::refused;

/// Why a request was not done.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The connection is of no more use.
    Line(io::Error),
    /// It is refused; the connection lives on.
    Refused(Box<Refused>),
}

impl Trouble {
    pub(super) fn refused(reason: &str, message: &str) -> Self {
        Self::Refused(Box::new(refused(reason, message)))
    }

    pub(super) fn out_of_range(size: u64) -> Self {
        Self::Refused(Box::new(Refused {
            offset: size,
            ..refused(
                "OFFSET_OUT_OF_RANGE",
                &format!("the file has {size} bytes; ask for that offset or an earlier one"),
            )
        }))
    }

    pub(super) fn refusal(self) -> Refused {
        match self {
            Self::Refused(refusal) => *refusal,
            Self::Line(error) => refused("MALFORMED", &error.to_string()),
        }
    }
}

/// What the kernel says of a file, with the advice that goes with it. No path: the caller knows it.
impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
        let (reason, message) = match errno {
            Errno::NOENT => (
                "FILE_NOT_FOUND",
                "there is no such file or directory; look with ListDirectory",
            ),
            Errno::LOOP => ("FILE_NOT_FOUND", "the links of this path lead nowhere"),
            Errno::ACCESS | Errno::PERM => (
                "FILE_ACCESS_DENIED",
                "the sandbox's user may not do this here; choose another path, or change the mode with a command",
            ),
            Errno::ROFS => ("FILE_ACCESS_DENIED", "this file system is read-only"),
            Errno::BUSY | Errno::XDEV => (
                "FILE_ACCESS_DENIED",
                "something is mounted here, or the two names are on different file systems; use a command for this",
            ),
            Errno::NOTDIR => (
                "NOT_A_DIRECTORY",
                "a part of the path that has to be a directory is none",
            ),
            Errno::ISDIR => ("IS_A_DIRECTORY", "this is a directory"),
            Errno::EXIST => ("FILE_EXISTS", "the name is taken"),
            Errno::NOTEMPTY => (
                "DIRECTORY_NOT_EMPTY",
                "the directory is not empty; set recursive to remove all in it",
            ),
            Errno::NOSPC | Errno::DQUOT => (
                "DISK_FULL",
                "the disk of the sandbox is full; remove something and repeat the call",
            ),
            Errno::FBIG => ("FILE_TOO_LARGE", "the file system takes no file so large"),
            Errno::NAMETOOLONG | Errno::INVAL => (
                "BAD_PATH",
                "the path is too long, or no path that this file system takes",
            ),
            _ => return Self::refused("FILE_FAILED", &format!("the file system says: {error}")),
        };
        Self::refused(reason, message)
    }
}

impl From<Errno> for Trouble {
    fn from(errno: Errno) -> Self {
        io::Error::from(errno).into()
    }
}
