//! Archives: what goes in comes out, and nothing leaves the directory.

use sandgate_proto::v1::{ArchiveSummary, Compression, DownloadArchiveRequest};
use tar::{Builder, EntryType, Header};
use tonic::Code;

use super::files::folder;
use crate::{
    failure::{Failure, broken, ensure, refused, same},
    subject::writing,
    suite::Check,
    world::Context,
};

const RULE: &str = "archive";
const NEEDS: &[&str] = &["files", "archive"];

pub(crate) const CHECKS: &[Check] = &[
    Check::new(
        RULE,
        "archive_round_trip",
        "A tree goes through DownloadArchive and UploadArchive as it is, with each compression.",
        |context| Box::pin(round_trip(context)),
    )
    .needs(NEEDS),
    Check::new(
        RULE,
        "archive_left_out",
        "excludes are left out unsaid, what is past max_bytes and max_entries is told as LIMIT.",
        |context| Box::pin(left_out(context)),
    )
    .needs(NEEDS),
    Check::new(
        RULE,
        "archive_contained",
        "Entries that would leave the directory are skipped and told, and nothing outside changes.",
        |context| Box::pin(contained(context)),
    )
    .needs(NEEDS),
    Check::new(
        RULE,
        "archive_bomb",
        "Names that are too long are told as LIMIT, a deep tree is removed, a link to itself loses no file.",
        |context| Box::pin(bomb(context)),
    )
    .needs(NEEDS),
    Check::new(
        RULE,
        "archive_invalid",
        "What is no archive, or not all of one, is INVALID_ARGUMENT · ARCHIVE_INVALID.",
        |context| Box::pin(invalid(context)),
    )
    .needs(NEEDS),
];

fn packing(path: &str) -> DownloadArchiveRequest {
    DownloadArchiveRequest {
        paths: vec![path.to_owned()],
        ..Default::default()
    }
}

async fn round_trip(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let top = folder(&place).await?;
    let line = r"mkdir -p from/d/e && cd from && seq 20000 >d/large && : >empty && printf x >d/-x && chmod 750 d && chmod 600 empty && ln -s d/large link && touch $(printf 'a\377')";
    place.text(format!("cd {top} && {line}")).await?;
    for compression in [
        Compression::Unspecified,
        Compression::None,
        Compression::Gzip,
        Compression::Zstd,
    ] {
        let request = DownloadArchiveRequest {
            compression: compression.into(),
            ..packing(&format!("{top}/from"))
        };
        let (archive, summary) = place.download(request).await?;
        same(
            "entries and skipped",
            (summary.entries, summary.skipped_count),
            (7, 0),
        )?;
        let to = format!("{top}/{compression:?}");
        same(
            "summary of the upload",
            place.upload(&to, &archive).await?,
            summary,
        )?;
        let list = "find . -printf '%P %M %s %l\\n' | grep -v '^ \\| d' | sort";
        let same_tree = format!(
            "cd {top} && diff -r from {compression:?} && (cd from && {list}) >1 && (cd {compression:?} && {list}) >2 && cmp 1 2 && wc -l <1"
        );
        let seen = place.text(same_tree).await?;
        ensure(seen.trim() != "0", || "nothing was compared")?;
    }
    Ok(())
}

async fn left_out(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let top = folder(&place).await?;
    place.text(format!("cd {top} && mkdir n && touch n/x && for name in a b c; do printf 1234567890 >$name; done")).await?;
    let excludes = DownloadArchiveRequest {
        excludes: vec!["n".to_owned(), "b".to_owned()],
        ..packing(&top)
    };
    let (_, summary) = place.download(excludes).await?;
    same(
        "entries and skipped",
        (summary.entries, summary.skipped_count),
        (2, 0),
    )?;
    let bytes = DownloadArchiveRequest {
        max_bytes: Some(25),
        ..packing(&top)
    };
    let entries = DownloadArchiveRequest {
        max_entries: Some(4),
        ..packing(&top)
    };
    for (request, due) in [(bytes, "c LIMIT"), (entries, "n/x LIMIT")] {
        let (_, summary) = place.download(request).await?;
        same("skipped", told(&summary).as_str(), due)?;
    }
    let missing = place.download(packing(&format!("{top}/none"))).await;
    refused(missing, Code::NotFound, "FILE_NOT_FOUND").map(drop)
}

fn told(summary: &ArchiveSummary) -> String {
    let all = summary.skipped.iter();
    let all = all.map(|one| format!("{} {}", one.path, one.reason));
    all.collect::<Vec<_>>().join(", ")
}

/// An archive of entries with names that nobody checks.
fn archive(entries: &[(&str, EntryType, &str)]) -> Result<Vec<u8>, Failure> {
    let made = || {
        let mut builder = Builder::new(Vec::new());
        for (name, kind, link) in entries {
            let mut header = Header::new_gnu();
            let old = header.as_old_mut();
            old.name[..name.len()].copy_from_slice(name.as_bytes());
            old.linkname[..link.len()].copy_from_slice(link.as_bytes());
            header.set_entry_type(*kind);
            header.set_mode(0o644);
            header.set_size(if kind.is_file() { 4 } else { 0 });
            header.set_cksum();
            builder.append(&header, if kind.is_file() { &b"evil"[..] } else { b"" })?;
        }
        builder.into_inner()
    };
    made().map_err(|error| broken(format!("the check itself failed: {error}")))
}

async fn contained(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let top = folder(&place).await?;
    place
        .text(format!(
            "cd {top} && mkdir in out && printf good >out/file && ln -s ../out in/there"
        ))
        .await?;
    let (file, link, hard) = (EntryType::Regular, EntryType::Symlink, EntryType::Link);
    let absolute = format!("{}/out/new", place.stat(&top).await?.path);
    ensure(
        absolute.len() <= 100,
        || "the workspace's path is too long for this check",
    )?;
    let entries = [
        (&absolute[..], file, ""),
        ("../out/new", file, ""),
        ("there/file", file, ""),
        ("up", link, "../out"),
        ("root", link, "/"),
        ("hard", hard, "there/file"),
        ("null", EntryType::Char, ""),
        ("fine", file, ""),
    ];
    let summary = place
        .upload(&format!("{top}/in"), &archive(&entries)?)
        .await?;
    same(
        "entries and skipped",
        (summary.entries, summary.skipped_count),
        (1, 7),
    )?;
    let seen = place
        .text(format!("cd {top} && ls in out && cat out/file"))
        .await?;
    same(
        "what is there",
        seen.as_str(),
        "in:\nfine\nthere\n\nout:\nfile\ngood",
    )
}

/// Entries that nobody makes by mistake, their names ahead of them.
fn bombs(entries: &[(Vec<u8>, EntryType, &str)]) -> Result<Vec<u8>, Failure> {
    let made = || {
        let mut builder = Builder::new(Vec::new());
        for (name, kind, link) in entries {
            let mut header = Header::new_gnu();
            header.set_entry_type(EntryType::GNULongName);
            header.set_size(name.len() as u64);
            header.set_cksum();
            builder.append(&header, &name[..])?;
            let mut header = Header::new_gnu();
            header.set_entry_type(*kind);
            header.set_mode(0o755);
            header.set_size(0);
            header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
            header.set_cksum();
            builder.append(&header, &b""[..])?;
        }
        builder.into_inner()
    };
    made().map_err(|error: std::io::Error| broken(format!("the check itself failed: {error}")))
}

async fn bomb(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let top = folder(&place).await?;
    let archive = bombs(&[
        (b"a/".repeat(100_000), EntryType::Directory, ""),
        (b"d/".repeat(1500), EntryType::Directory, ""),
        (b"file".to_vec(), EntryType::Regular, ""),
        (b"file".to_vec(), EntryType::Link, "file"),
    ])?;
    let to = format!("{top}/in");
    let summary = place.upload(&to, &archive).await?;
    same(
        "entries and skipped",
        (summary.entries, summary.skipped_count),
        (3, 1),
    )?;
    let is_limit = summary.skipped.iter().all(|one| one.reason == "LIMIT");
    ensure(
        is_limit,
        || "a name of many directories is not told as LIMIT",
    )?;
    place.stat(&format!("{to}/file")).await?;
    place.remove(&to, (true, false)).await?;
    let seen = place.text(format!("ls {top}")).await?;
    same("what is left", seen.trim(), "")
}

async fn invalid(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let top = folder(&place).await?;
    let whole = archive(&[("file", EntryType::Regular, "")])?;
    let text = b"no archive at all, but as long as one may be".repeat(40);
    for bytes in [&whole[..514], &whole[..1024], &text] {
        let refusal = place.upload(&format!("{top}/in"), bytes).await;
        refused(refusal, Code::InvalidArgument, "ARCHIVE_INVALID")?;
    }
    place
        .write_file(writing(&format!("{top}/file")), b"x")
        .await?;
    let below = place.upload(&format!("{top}/file"), &whole).await;
    refused(below, Code::FailedPrecondition, "NOT_A_DIRECTORY").map(drop)
}
