//! Debug forms of the messages that hold secrets: what is inside stays unsaid.

use std::fmt;

use crate::v1::{FileData, GitLogin, Hello, Start, WriteStdin};

impl fmt::Debug for Hello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hello")
            .field("sandbox_id", &self.sandbox_id)
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for FileData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileData")
            .field("bytes", &self.data.len())
            .field("eof", &self.eof)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Start")
            .field("execution_id", &self.execution_id)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for WriteStdin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteStdin")
            .field("execution_id", &self.execution_id)
            .field("offset", &self.offset)
            .field("bytes", &self.data.len())
            .field("eof", &self.eof)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for GitLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GitLogin")
            .field("username", &self.username)
            .field("origins", &self.origins)
            .finish_non_exhaustive()
    }
}
