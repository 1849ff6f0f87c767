//! Why git's work did not come to a good end.

use std::io;

use rustix::io::Errno;

/// What there is to tell of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Git itself ended so, and has said why.
    Git(i32),
    /// Somebody asked this program to end.
    Stopped,
    /// It did not begin: an UPPER_SNAKE word of the contract.
    Refused(&'static str, String),
}

impl Failure {
    /// What the program ends with.
    pub(super) fn code(&self) -> u8 {
        match self {
            Self::Git(code) => u8::try_from(*code).unwrap_or(1).max(1),
            Self::Stopped => 128 + 15,
            Self::Refused(..) => 1,
        }
    }

    /// Something about the folder or file of this path.
    pub(super) fn of_path(error: &io::Error, path: &str) -> Self {
        let word = match Errno::from_io_error(error) {
            Some(Errno::ACCESS | Errno::PERM | Errno::ROFS) => "FILE_ACCESS_DENIED",
            Some(Errno::NOTDIR) => "NOT_A_DIRECTORY",
            Some(Errno::NOTEMPTY | Errno::EXIST) => "DIRECTORY_NOT_EMPTY",
            Some(Errno::NOSPC | Errno::DQUOT) => "DISK_FULL",
            _ => "FAILED",
        };
        Self::Refused(word, format!("{path}: {error}"))
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Refused("FAILED", error.to_string())
    }
}
