//! What a refusal of the runner is for a caller: the reasons of the contract, in our own words.

use sandgate_proto::{Outcome, Reason};
use sandgate_runner_proto::v1::Refused;

use crate::{Kind, ProviderError, visits::LOST};

/// The runner's word, what it is, and what to do about it.
const KNOWN: &[(&str, Reason, &str)] = &[
    (
        "FILE_NOT_FOUND",
        Reason::FileNotFound,
        "there is nothing at this path; look with ListDirectory",
    ),
    (
        "FILE_ACCESS_DENIED",
        Reason::FileAccessDenied,
        "the sandbox's user may not do this there: choose another path, or run a command that may",
    ),
    (
        "NOT_A_DIRECTORY",
        Reason::NotADirectory,
        "a part of the path that has to be a directory is none",
    ),
    (
        "IS_A_DIRECTORY",
        Reason::IsADirectory,
        "this is a directory; use ListDirectory, DownloadArchive or RemoveFile with recursive",
    ),
    (
        "NOT_A_REGULAR_FILE",
        Reason::NotARegularFile,
        "this is a device, socket or pipe; use a command for it",
    ),
    (
        "FILE_EXISTS",
        Reason::FileExists,
        "the name is taken: choose another, or ask for it to be replaced",
    ),
    (
        "DIRECTORY_NOT_EMPTY",
        Reason::DirectoryNotEmpty,
        "the directory is not empty; set recursive to remove all that is in it",
    ),
    (
        "DISK_FULL",
        Reason::DiskFull,
        "the disk of the sandbox is full; remove something, then repeat the call",
    ),
    (
        "FILE_TOO_LARGE",
        Reason::FileTooLarge,
        "the file system of the sandbox takes no file so large",
    ),
    (
        "ETAG_MISMATCH",
        Reason::EtagMismatch,
        "the file has changed since; look at it with StatFile and decide again",
    ),
    (
        "CONTENT_MISMATCH",
        Reason::ContentMismatch,
        "what came is not what was announced, and the old file is as it was; send it again",
    ),
    (
        "ARCHIVE_INVALID",
        Reason::ArchiveInvalid,
        "this is no tar archive, plain or with gzip or Zstandard, or not all of one; send it whole",
    ),
    (
        "MADE_UP_TOO_LARGE",
        Reason::FileTooLarge,
        "the kernel makes this file up and does not say how long it is: this is not all of it; read it with a command",
    ),
    (
        "CWD_NOT_FOUND",
        Reason::FileNotFound,
        "the workspace of the sandbox is not there any more; make it again with a command that begins in another folder",
    ),
    (
        "NOT_PERMITTED",
        Reason::FileAccessDenied,
        "the sandbox's user may not enter the workspace; run a command that changes its mode, from another folder",
    ),
];

pub(super) fn refused(refusal: &Refused) -> ProviderError {
    let said = format!("{}: {}", refusal.reason, refusal.message);
    if let Some((_, reason, message)) = KNOWN.iter().find(|known| known.0 == refusal.reason) {
        return ProviderError::new(Kind::File(*reason), *message).caused_by(said);
    }
    let error = match refusal.reason.as_str() {
        "OFFSET_OUT_OF_RANGE" => ProviderError::new(
            Kind::OffsetOutOfRange,
            format!(
                "the file has {} bytes; ask for that offset or an earlier one",
                refusal.offset
            ),
        )
        .with("size", refusal.offset),
        "BAD_PATH" => ProviderError::new(
            Kind::InvalidField("path"),
            "cannot be used so: with the workspace before it it has at most 4,096 bytes, each name in it 255; nothing moves below itself, and neither `/` nor the workspace is removed",
        ),
        "SHUTTING_DOWN" => ProviderError::new(
            Kind::NotRunning,
            "the sandbox is being stopped; start it, then repeat the call",
        ),
        LOST => ProviderError::new(
            Kind::Unavailable(Outcome::Ambiguous),
            "the way to the files of the sandbox was lost; look at what is there, then repeat the call",
        ),
        "UNKNOWN_REQUEST" => ProviderError::new(
            Kind::Unsupported("files"),
            "the runner in this sandbox is an older one that does not know this: stop and start the sandbox, or make it anew",
        ),
        "OTHER_SANDBOX" | "NOT_LET_IN" | "VERSION" => ProviderError::new(
            Kind::Unavailable(Outcome::Rejected),
            "the runner that answers is not this sandbox's; repeat the call",
        ),
        "TOO_MANY_EXECUTIONS" | "TOO_MANY_OBSERVERS" | "TOO_MANY_FILE_CALLS" => ProviderError::new(
            Kind::TooManyObservers,
            "as many calls as this sandbox can take are open; end some, then repeat this one",
        ),
        word => unstarted(word),
    };
    error.caused_by(said)
}

/// A worker that was not started, or anything else.
fn unstarted(word: &str) -> ProviderError {
    match word {
        "OUT_OF_PROCESSES" | "OUT_OF_MEMORY" => ProviderError::new(
            Kind::TooManyExecutions,
            "the sandbox has no room for another process: end some, or raise its limits",
        ),
        "PROGRAM_NOT_FOUND" | "NOT_EXECUTABLE" | "USER_NOT_FOUND" | "START_FAILED" => {
            ProviderError::new(
                Kind::Unavailable(Outcome::Rejected),
                "no process for files can be started in the sandbox: repeat the call; if it lasts, stop and start the sandbox, or make it anew",
            )
        }
        _ => ProviderError::new(
            Kind::Rejected,
            "the sandbox's file system refuses this; look at the path with a command",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(reason: &str) -> String {
        let refusal = Refused {
            reason: reason.to_owned(),
            ..Refused::default()
        };
        format!("{:?}", refused(&refusal).kind())
    }

    #[test]
    fn what_is_lost_or_does_not_start_is_told_as_what_it_is() {
        for (reason, due) in [
            (LOST, "Unavailable(Ambiguous)"),
            ("CWD_NOT_FOUND", "File(FileNotFound)"),
            ("NOT_PERMITTED", "File(FileAccessDenied)"),
            ("START_FAILED", "Unavailable(Rejected)"),
            ("OUT_OF_PROCESSES", "TooManyExecutions"),
            ("TOO_MANY_FILE_CALLS", "TooManyObservers"),
            ("SHUTTING_DOWN", "NotRunning"),
            ("DISK_FULL", "File(DiskFull)"),
            ("ANYTHING", "Rejected"),
        ] {
            assert_eq!(kind(reason), due, "{reason}");
        }
    }
}
