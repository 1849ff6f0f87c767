//! The problems of session files.

use std::{fmt, time::Duration};

use sandgate_proto::{Outcome, Problem, Reason};

use super::quota_exceeded;
use crate::objects::ObjectsError;

/// How soon a store of objects may be well again.
const LATER: Duration = Duration::from_secs(5);

pub(crate) fn session_file_not_found(path: &str) -> Problem {
    Problem::new(
        Reason::FileNotFound,
        "the session has no file at this path; look with SessionFileService.ListSessionFiles, or write it first",
    )
    .with("path", path)
}

pub(crate) fn not_a_folder(path: &str) -> Problem {
    Problem::new(
        Reason::NotADirectory,
        "the session has a file at this path, so that nothing can lie below it; choose another path, or delete that file",
    )
    .with("path", path)
}

pub(crate) fn is_a_folder(path: &str) -> Problem {
    Problem::new(
        Reason::IsADirectory,
        "this path of the session is a directory; choose a file in it",
    )
    .with("path", path)
}

pub(crate) fn folder_not_empty(path: &str) -> Problem {
    Problem::new(
        Reason::DirectoryNotEmpty,
        "this path of the session is a directory, which is only there as long as it holds files; set recursive to delete all of them",
    )
    .with("path", path)
}

pub(crate) fn file_exists(path: &str) -> Problem {
    Problem::new(
        Reason::FileExists,
        "the session has a file at this path; choose another path, or write with REPLACE",
    )
    .with("path", path)
}

pub(crate) fn file_too_large(path: &str, most: u64) -> Problem {
    Problem::new(
        Reason::FileTooLarge,
        format!("a file of a session has at most {most} bytes here; split it, or have SANDGATE_SESSION_FILE_BYTES raised"),
    )
    .with("path", path)
    .with("limit_bytes", most)
}

/// The file in the sandbox.
pub(crate) fn changed_while_copied() -> Problem {
    Problem::new(
        Reason::EtagMismatch,
        "the file was changed in the sandbox while it was copied; repeat the copy",
    )
}

/// `field`: what was announced.
pub(crate) fn content_mismatch(field: &'static str) -> Problem {
    Problem::new(
        Reason::ContentMismatch,
        format!(
            "the content that came is not that of {field}, so nothing was written; send it again"
        ),
    )
    .with("field", field)
}

/// `size`: of the file.
pub(crate) fn offset_past_the_end(size: u64) -> Problem {
    Problem::new(
        Reason::OffsetOutOfRange,
        format!("the file has {size} bytes; read at an offset up to that"),
    )
    .with("accepted_offset", size)
}

pub(crate) fn write_took_too_long() -> Problem {
    Problem::new(
        Reason::DeadlineExceeded,
        "nothing came for an hour, so that what had come before was thrown away; write the file again",
    )
    .with_outcome(Outcome::Rejected)
}

pub(crate) fn reader_took_nothing() -> Problem {
    Problem::new(
        Reason::DeadlineExceeded,
        "nothing of the file was taken for five minutes, so that reading it was ended; read it again from the offset that you have",
    )
    .with_outcome(Outcome::Rejected)
}

pub(crate) fn too_many_session_bytes(org_id: &str) -> Problem {
    quota_exceeded(
        "session_bytes",
        org_id,
        "the organisation keeps as many bytes in its sessions as it may; delete what is not needed any more, or have the limit raised",
    )
}

/// `wait`: until some of it is removed.
pub(crate) fn too_many_stored_bytes(org_id: &str, wait: Duration) -> Problem {
    quota_exceeded(
        "session_bytes",
        org_id,
        "what the organisation keeps in its sessions takes twice as much as it may, with content that was just replaced or is still being written; repeat the call when some of that is gone, or have the limit raised",
    )
    .retry_after(wait)
}

pub(crate) fn too_many_session_files(org_id: &str, most: u64) -> Problem {
    quota_exceeded(
        "session_files",
        org_id,
        &format!(
            "the session has {most} files, as many as it may; delete what is not needed any more, or have the limit raised"
        ),
    )
}

pub(crate) fn too_many_transfers(org_id: &str) -> Problem {
    quota_exceeded(
        "transfers",
        org_id,
        "your organisation has as many copies between sessions and sandboxes under way and waiting as this gateway takes of one; wait for some of them to end, then repeat the call",
    )
}

pub(crate) fn transfer_took_too_long() -> Problem {
    Problem::new(
        Reason::DeadlineExceeded,
        "the copy took longer than six hours, so it was ended between two files; repeat the call with the same request_id to go on, or copy fewer files at once",
    )
    .with_outcome(Outcome::Ambiguous)
}

/// What a file is made of is not as it was put, though nobody has changed the file.
pub(crate) fn object_gone(cause: &dyn fmt::Display) -> Problem {
    tracing::error!(%cause, "content of a session file is not as it was put; restore its folder or bucket from a backup");
    Problem::new(
        Reason::StoreDamaged,
        "the content of this file is not where session files are kept, though nobody has changed the file; write it again, or have the operator put the last backup of that folder or bucket in its place",
    )
}

impl From<&ObjectsError> for Problem {
    fn from(error: &ObjectsError) -> Self {
        if matches!(error, ObjectsError::Missing | ObjectsError::Cut) {
            return object_gone(error);
        }
        tracing::error!(%error, "session files cannot be read or written; look at SANDGATE_FILES_URL and SANDGATE_FILES_OPTIONS");
        let message = match error {
            ObjectsError::Full => {
                "the disk that session files are kept on is full, and nothing was changed; repeat the call later, and have the operator make room"
            }
            ObjectsError::Refused(_) => {
                "where session files are kept refuses the gateway's credentials, and nothing was changed; have the operator correct SANDGATE_FILES_OPTIONS, or what these credentials may do, then repeat the call"
            }
            ObjectsError::NoPlace(_) => {
                "the bucket or container that session files are kept in is not there, and nothing was changed; have the operator make it or correct SANDGATE_FILES_URL, then repeat the call"
            }
            _ => {
                "where session files are kept does not answer as it should, and nothing was changed; repeat the call, and if it goes on have the operator look at the gateway's log"
            }
        };
        Self::new(Reason::StoreUnavailable, message)
            .with_outcome(Outcome::Rejected)
            .retry_after(LATER)
    }
}
