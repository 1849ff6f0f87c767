//! Files: what is written is read, as a whole or not at all.

use std::time::Duration;

use sandgate_proto::v1::{Disposition, FileKind, WriteFileOpen};
use tokio::time::sleep;
use tonic::Code;

use crate::{
    failure::{Failure, ensure, refused, same},
    subject::{Place, new_execution, reading, writing},
    suite::Check,
    world::Context,
};

const RULE: &str = "files";
const NEEDS: &[&str] = &["files"];

pub(crate) const CHECKS: &[Check] = &[
    Check::new(RULE, "file_round_trip", "What WriteFile writes ReadFile reads, of any size; info, size and etag of both and of StatFile agree.", |context| Box::pin(round_trip(context))).needs(NEEDS),
    Check::new(RULE, "file_ranges", "ReadFile gives the range that was asked for; past the end it is OUT_OF_RANGE · OFFSET_OUT_OF_RANGE.", |context| Box::pin(ranges(context))).needs(NEEDS),
    Check::new(RULE, "file_etag", "The etag changes with the content, and if_match holds: else ABORTED · ETAG_MISMATCH.", |context| Box::pin(etag(context))).needs(NEEDS),
    Check::new(RULE, "file_dispositions", "CREATE makes only new files, REPLACE is the default, APPEND puts the bytes behind the old.", |context| Box::pin(dispositions(context))).needs(NEEDS),
    Check::new(RULE, "file_announced", "Content that is not of expected_size or sha256 is DATA_LOSS · CONTENT_MISMATCH and leaves the old file.", |context| Box::pin(announced(context))).needs(NEEDS),
    Check::new(RULE, "file_cancelled", "A cancelled write leaves the old file, and no other in its directory.", |context| Box::pin(cancelled(context))).needs(NEEDS),
    Check::new(RULE, "file_parents", "WriteFile makes missing directories if create_parents is set; else FILE_NOT_FOUND. mode is set, and kept.", |context| Box::pin(parents(context))).needs(NEEDS),
    Check::new(RULE, "file_kinds", "What is no regular file is refused by its own reason, and never waited for.", |context| Box::pin(kinds(context))).needs(NEEDS),
];

/// A new directory for one check.
pub(super) async fn folder(place: &Place<'_>) -> Result<String, Failure> {
    let path = new_execution();
    place.make_directory(&path, false).await?;
    Ok(path)
}

async fn round_trip(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let path = format!("{}/file", folder(&place).await?);
    for size in [0_usize, 1, 65_536, 65_537, 2_000_000] {
        let bytes: Vec<u8> = (0..=250).cycle().take(size).collect();
        let written = place.write_file(writing(&path), &bytes).await?;
        same("bytes of sha256", written.sha256.len(), 32)?;
        let read = place.read_file(reading(&path)).await?;
        ensure(read.bytes == bytes, || {
            format!("{size} bytes came back as others")
        })?;
        same("size", read.info.size, size as u64)?;
        same("kind", read.info.kind(), FileKind::File)?;
        ensure(!read.info.etag.is_empty(), || "a file has no etag")?;
        same("info of the write", written.info.as_ref(), Some(&read.info))?;
        same("info of StatFile", place.stat(&path).await?, read.info)?;
    }
    let seen = place.text(format!("wc -c <{path}")).await?;
    same("bytes as a command counts them", seen.trim(), "2000000")
}

async fn ranges(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let path = format!("{}/file", folder(&place).await?);
    let bytes: Vec<u8> = (0..=250).cycle().take(200_000).collect();
    place.write_file(writing(&path), &bytes).await?;
    for (offset, limit) in [
        (0, Some(0)),
        (0, Some(10)),
        (65_530, Some(70_000)),
        (199_999, None),
        (199_999, Some(10)),
        (200_000, None),
    ] {
        let mut request = reading(&path);
        (request.offset, request.limit) = (offset as u64, limit);
        let seen = place.read_file(request).await?;
        let most = limit.map_or(bytes.len(), |limit| offset + limit as usize);
        let due = &bytes[offset..most.min(bytes.len())];
        ensure(seen.bytes == due, || {
            format!("offset {offset}, limit {limit:?}: other bytes")
        })?;
        same("size in info", seen.info.size, 200_000)?;
    }
    let mut past = reading(&path);
    past.offset = 200_001;
    let past = place.read_file(past).await;
    refused(past, Code::OutOfRange, "OFFSET_OUT_OF_RANGE").map(drop)
}

async fn etag(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let path = format!("{}/file", folder(&place).await?);
    place.write_file(writing(&path), b"one").await?;
    let first = place.stat(&path).await?.etag;
    let with = |etag: &str| WriteFileOpen {
        if_match: etag.to_owned(),
        ..writing(&path)
    };
    place.write_file(with(&first), b"two").await?;
    let second = place.stat(&path).await?.etag;
    ensure(first != second, || "the etag stays as it was after a write")?;
    let late = place.write_file(with(&first), b"three").await;
    refused(late, Code::Aborted, "ETAG_MISMATCH")?;
    let mut request = reading(&path);
    request.if_match = first;
    refused(
        place.read_file(request.clone()).await,
        Code::Aborted,
        "ETAG_MISMATCH",
    )?;
    request.if_match = second;
    same(
        "content",
        place.read_file(request).await?.bytes,
        b"two".to_vec(),
    )
}

async fn dispositions(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let path = format!("{}/file", folder(&place).await?);
    let open = |disposition: Disposition| WriteFileOpen {
        disposition: disposition.into(),
        ..writing(&path)
    };
    place.write_file(open(Disposition::Create), b"one").await?;
    let again = place.write_file(open(Disposition::Create), b"no").await;
    refused(again, Code::AlreadyExists, "FILE_EXISTS")?;
    place.write_file(open(Disposition::Append), b" two").await?;
    let seen = place.read_file(reading(&path)).await?.bytes;
    same("content after APPEND", seen, b"one two".to_vec())?;
    for disposition in [Disposition::Unspecified, Disposition::Replace] {
        place.write_file(open(disposition), b"new").await?;
        let seen = place.read_file(reading(&path)).await?.bytes;
        same("content after REPLACE", seen, b"new".to_vec())?;
    }
    Ok(())
}

async fn announced(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let path = format!("{}/file", folder(&place).await?);
    let sha256 = place.write_file(writing(&path), b"old").await?.sha256;
    let size = |size| WriteFileOpen {
        expected_size: Some(size),
        ..writing(&path)
    };
    let digest = WriteFileOpen {
        sha256,
        ..writing(&path)
    };
    for open in [size(4), size(2), digest.clone()] {
        let wrong = place.write_file(open, b"new").await;
        refused(wrong, Code::DataLoss, "CONTENT_MISMATCH")?;
        let seen = place.read_file(reading(&path)).await?.bytes;
        same("content", seen, b"old".to_vec())?;
    }
    place.write_file(digest, b"old").await?;
    place.write_file(size(3), b"new").await.map(drop)
}

async fn cancelled(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let folder = folder(&place).await?;
    let path = format!("{folder}/file");
    place.write_file(writing(&path), b"old").await?;
    place.write_and_leave(writing(&path), &[1; 300_000]).await;
    for _ in 0..50 {
        if place.names(&folder).await? == ["file"] {
            break;
        }
        sleep(Duration::from_millis(200)).await;
    }
    same(
        "names in the directory",
        place.names(&folder).await?,
        vec!["file".to_owned()],
    )?;
    same(
        "content",
        place.read_file(reading(&path)).await?.bytes,
        b"old".to_vec(),
    )
}

async fn parents(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let path = format!("{}/a/b/file", folder(&place).await?);
    let missing = place.write_file(writing(&path), b"x").await;
    refused(missing, Code::NotFound, "FILE_NOT_FOUND")?;
    let open = WriteFileOpen {
        create_parents: true,
        mode: Some(0o640),
        ..writing(&path)
    };
    place.write_file(open, b"x").await?;
    // A provider that cannot tell the mode says none.
    let mode = |seen: Option<u32>| seen.unwrap_or(0o640);
    same("mode", mode(place.stat(&path).await?.mode), 0o640)?;
    place.write_file(writing(&path), b"y").await?;
    same(
        "mode after a replace",
        mode(place.stat(&path).await?.mode),
        0o640,
    )
}

async fn kinds(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let folder = folder(&place).await?;
    let line = format!(
        "cd {folder} && mkfifo pipe && mkdir d && touch file && ln -s file link && ln -s none dangling"
    );
    place.text(line).await?;
    for (name, code, reason) in [
        ("none", Code::NotFound, "FILE_NOT_FOUND"),
        ("dangling", Code::NotFound, "FILE_NOT_FOUND"),
        ("d", Code::FailedPrecondition, "IS_A_DIRECTORY"),
        ("file/x", Code::FailedPrecondition, "NOT_A_DIRECTORY"),
        ("pipe", Code::FailedPrecondition, "NOT_A_REGULAR_FILE"),
    ] {
        let path = format!("{folder}/{name}");
        refused(place.read_file(reading(&path)).await, code, reason)?;
        if reason != "FILE_NOT_FOUND" {
            refused(place.write_file(writing(&path), b"x").await, code, reason)?;
        }
    }
    for (name, kind) in [
        ("pipe", FileKind::Other),
        ("d", FileKind::Directory),
        ("link", FileKind::Symlink),
        ("dangling", FileKind::Symlink),
    ] {
        let seen = place.stat(&format!("{folder}/{name}")).await?;
        same(&format!("kind of {name}"), seen.kind(), kind)?;
    }
    let link = place.stat(&format!("{folder}/link")).await?;
    same("symlink_target", link.symlink_target.as_str(), "file")
}
