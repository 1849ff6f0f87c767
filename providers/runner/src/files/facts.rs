//! Facts about one name.

use std::{
    fs::{self, Metadata},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{FileTypeExt as _, MetadataExt as _},
    },
    path::{Path, PathBuf, absolute},
};

use sandgate_runner_proto::v1::{FileAnswer, FileFacts, FileKind, StatFile, file_answer};

use super::{Answer, Trouble};

/// Answers StatFile.
pub(super) fn stat(request: &StatFile) -> Answer {
    info(&path(&request.path)?)
}

/// Facts as the last answer to a request.
pub(super) fn info(path: &Path) -> Answer {
    let facts = facts(path, &fs::symlink_metadata(path)?);
    Ok(answer(file_answer::Body::Info(facts)))
}

pub(super) fn answer(body: file_answer::Body) -> FileAnswer {
    FileAnswer { body: Some(body) }
}

/// A path as it came, from the folder where relative ones begin, without a slash at its end, which
/// would have a link followed. `..` stays: what it means is the kernel's to say, where a link comes
/// before it.
pub(super) fn path(text: &str) -> Result<PathBuf, Trouble> {
    if text.is_empty() || text.len() > 4096 || text.contains('\0') {
        return Err(Trouble::refused(
            "BAD_PATH",
            "a path has 1 to 4,096 bytes, none of them NUL",
        ));
    }
    Ok(absolute(text)?.components().collect())
}

pub(super) fn facts(path: &Path, found: &Metadata) -> FileFacts {
    let kind = found.file_type();
    let target = kind
        .is_symlink()
        .then(|| fs::read_link(path).ok())
        .flatten();
    let kind = if kind.is_file() {
        FileKind::File
    } else if kind.is_dir() {
        FileKind::Directory
    } else if kind.is_symlink() {
        FileKind::Symlink
    } else {
        debug_assert!(
            kind.is_fifo() || kind.is_socket() || kind.is_block_device() || kind.is_char_device()
        );
        FileKind::Other
    };
    FileFacts {
        path: path.as_os_str().as_bytes().to_vec().into(),
        kind: kind.into(),
        size: match kind {
            FileKind::File => found.len(),
            _ => 0,
        },
        mode: found.mode() & 0o7777,
        uid: found.uid(),
        gid: found.gid(),
        modify_time_ns: nanoseconds(found.mtime(), found.mtime_nsec()),
        target: target
            .map(|target| target.as_os_str().as_bytes().to_vec().into())
            .unwrap_or_default(),
        etag: match kind {
            FileKind::File => etag(found),
            _ => String::new(),
        },
        ..FileFacts::default()
    }
}

/// Changes whenever the kernel notes a change: a rename puts another inode there, a write moves the
/// times.
pub(super) fn etag(found: &Metadata) -> String {
    let changed = nanoseconds(found.ctime(), found.ctime_nsec());
    let modified = nanoseconds(found.mtime(), found.mtime_nsec());
    format!(
        "{:x}-{:x}-{modified:x}-{changed:x}",
        found.ino(),
        found.len()
    )
}

/// Refuses a file that is another one by now.
pub(super) fn check_etag(wanted: &str, found: Option<&Metadata>) -> Result<(), Trouble> {
    if wanted.is_empty() || found.is_some_and(|found| etag(found) == wanted) {
        return Ok(());
    }
    Err(changed())
}

pub(super) fn changed() -> Trouble {
    Trouble::refused(
        "ETAG_MISMATCH",
        "the file has changed; look at it with StatFile and decide again",
    )
}

fn nanoseconds(seconds: i64, more: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(more)
}
