//! Facts that a worker tells, as the contract has them.

use bytes::Bytes;
use sandgate_proto::{
    Outcome,
    v1::{ArchiveSummary, FileInfo, FileKind, SkippedPath},
};
use sandgate_runner_proto::v1::{FileEntries, FileFacts, PackSummary};

use crate::{Kind, ProviderError};

/// Longest path, and longest etag, in bytes.
const PATH: usize = 8192;
const ETAG: usize = 256;
/// Longest reason of something that was left out.
const REASON: usize = 64;
/// Most that are named.
const NAMED: usize = 1000;

/// One name.
pub(crate) fn info(facts: FileFacts) -> Result<FileInfo, ProviderError> {
    let is_right = facts.path.starts_with(b"/")
        && facts.path.len() <= PATH
        && facts.target.len() <= PATH
        && facts.etag.len() <= ETAG
        && facts.mode <= 0o7777;
    if !is_right {
        return Err(unbelievable());
    }
    let name = facts.path.rsplit(|byte| *byte == b'/').next();
    let name = facts.path.slice_ref(name.unwrap_or_default());
    let nanos = facts.modify_time_ns;
    Ok(FileInfo {
        path: shown(&facts.path),
        raw_name: match std::str::from_utf8(&name) {
            Ok(_) => Bytes::new(),
            Err(_) => name.clone(),
        },
        name: shown(&name),
        kind: FileKind::try_from(facts.kind).unwrap_or_default().into(),
        size: facts.size,
        mode: Some(facts.mode),
        uid: Some(facts.uid),
        gid: Some(facts.gid),
        modify_time: Some(prost_types::Timestamp {
            seconds: nanos.div_euclid(1_000_000_000),
            nanos: i32::try_from(nanos.rem_euclid(1_000_000_000)).unwrap_or_default(),
        }),
        symlink_target: shown(&facts.target),
        etag: facts.etag,
    })
}

/// Names of a directory, each with its path below that.
pub(crate) fn entries(found: FileEntries) -> Result<Vec<(Bytes, FileInfo)>, ProviderError> {
    let mut top = found.top.to_vec();
    if !top.ends_with(b"/") {
        top.push(b'/');
    }
    let below = |facts: FileFacts| {
        let path = facts.path.strip_prefix(&top[..]).ok_or_else(unbelievable)?;
        Ok((facts.path.slice_ref(path), info(facts)?))
    };
    found.entries.into_iter().map(below).collect()
}

/// What went through an archive.
pub(crate) fn summary(found: PackSummary) -> Result<ArchiveSummary, ProviderError> {
    let is_right = |one: &sandgate_runner_proto::v1::Skipped| {
        one.path.len() <= PATH && one.reason.len() <= REASON && one.reason.is_ascii()
    };
    if found.skipped.len() > NAMED || !found.skipped.iter().all(is_right) {
        return Err(unbelievable());
    }
    let skipped = found.skipped.into_iter().map(|one| SkippedPath {
        path: shown(&one.path),
        reason: one.reason,
    });
    Ok(ArchiveSummary {
        entries: found.entries,
        bytes: found.bytes,
        skipped: skipped.collect(),
        skipped_count: found.skipped_count,
    })
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn unbelievable() -> ProviderError {
    ProviderError::new(
        Kind::Unavailable(Outcome::Ambiguous),
        "the runner in the sandbox says what cannot be; if a repeated call does too, make the sandbox anew",
    )
}
