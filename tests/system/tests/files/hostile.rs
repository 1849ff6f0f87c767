//! Archives that want out, or never to end: contained, and told.

use std::io::Write as _;

use flate2::write::GzEncoder;
use sandgate_proto::{Reason, v1::ArchiveSummary};
use sandgate_system::assert_reason;
use tar::EntryType;

use crate::{each::on_each, stand::Stand, tar::Tar};

#[tokio::test(flavor = "multi_thread")]
async fn archives_are_not_believed() {
    on_each(|stand| {
        Box::pin(async move {
            ways_out(stand).await;
            links_in_the_way(stand).await;
            no_archives(stand).await;
            bombs(stand).await;
        })
    })
    .await;
}

fn told(summary: &ArchiveSummary) -> Vec<String> {
    let all = summary
        .skipped
        .iter()
        .map(|one| format!("{} {}", one.path, one.reason));
    all.collect()
}

/// A part of a gzip file, of which any number may follow each other.
fn zipped(bytes: &[u8]) -> Vec<u8> {
    let mut zip = GzEncoder::new(Vec::new(), flate2::Compression::best());
    zip.write_all(bytes).unwrap();
    zip.finish().unwrap()
}

/// Entries that want out, and at the end some that do not.
fn wanting_out(absolute: &str) -> Vec<u8> {
    let (link, hard) = (EntryType::Symlink, EntryType::Link);
    Tar::default()
        .file(absolute, b"x")
        .file("../outside/up", b"x")
        .file("a/../../outside/up", b"x")
        .file("there/through", b"x")
        .entry("there/folder", EntryType::Directory, "", b"")
        .entry("up", link, "../outside", b"")
        .entry("abs", link, "/etc", b"")
        .entry("sneak", link, "a/../..", b"")
        .entry("hard", hard, "../outside/secret", b"")
        .entry("hard2", hard, "there/secret", b"")
        .entry("hard3", hard, "/etc/passwd", b"")
        .entry("null", EntryType::Char, "", b"")
        .entry("disk", EntryType::Block, "", b"")
        .entry("pipe", EntryType::Fifo, "", b"")
        .entry("what", EntryType::new(b'Z'), "", b"")
        .file("good", b"good")
        .entry("fine", link, "good", b"")
        .entry("twin", hard, "good", b"")
        .end()
}

async fn ways_out(stand: &Stand) {
    stand
        .sh("mkdir outside in; printf secret >outside/secret; ln -s ../outside in/there")
        .await;
    let absolute = format!("{}/outside/absolute", stand.workspace);
    let archive = wanting_out(&absolute);
    let summary = stand.upload("in", &archive).await.unwrap();
    assert_eq!(
        told(&summary),
        [
            &format!("{absolute} OUTSIDE"),
            "../outside/up OUTSIDE",
            "a/../../outside/up OUTSIDE",
            "there/through LINK_OUTSIDE",
            "there/folder LINK_OUTSIDE",
            "up LINK_OUTSIDE",
            "abs LINK_OUTSIDE",
            "sneak LINK_OUTSIDE",
            "hard LINK_OUTSIDE",
            "hard2 LINK_OUTSIDE",
            "hard3 LINK_OUTSIDE",
            "null NOT_REGULAR",
            "disk NOT_REGULAR",
            "pipe NOT_REGULAR",
            "what NOT_REGULAR",
        ]
    );
    assert_eq!((summary.entries, summary.skipped_count), (3, 15));
    assert_eq!(stand.names("in").await, ["fine", "good", "there", "twin"]);
    assert_eq!(stand.names("outside").await, ["secret"]);
    assert_eq!(stand.read("in/twin").await.unwrap(), b"good");
}

/// A link that is there, be it of the archive or not, is replaced and not followed.
async fn links_in_the_way(stand: &Stand) {
    stand
        .sh("mkdir way; printf old >victim; ln -s ../victim way/file")
        .await;
    let archive = Tar::default()
        .file("file", b"new")
        .entry("to", EntryType::Symlink, "file", b"")
        .file("to", b"other")
        .entry("dir", EntryType::Symlink, ".", b"")
        .file("dir/below", b"x")
        .end();
    let summary = stand.upload("way", &archive).await.unwrap();
    assert_eq!(told(&summary), ["dir/below LINK_OUTSIDE"]);
    assert_eq!(stand.read("victim").await.unwrap(), b"old");
    assert_eq!(stand.read("way/file").await.unwrap(), b"new");
    assert_eq!(stand.read("way/to").await.unwrap(), b"other");
}

async fn no_archives(stand: &Stand) {
    let whole = Tar::default().file("file", &[7; 2000]).end();
    let zip = zipped(&whole);
    let mut bad_sum = zip.clone();
    bad_sum[zip.len() - 8] ^= 1;
    let text = b"no archive at all, but long enough to be read as one".repeat(20);
    for (what, bytes) in [
        ("cut in an entry", &whole[..1500]),
        ("cut behind it", &whole[..2560]),
        ("text", &text),
        ("short text", b"no"),
        ("cut gzip", &zip[..zip.len() - 9]),
        ("gzip with another sum", &bad_sum),
        ("broken gzip", &[&zip[..20], &text].concat()),
        ("broken zstd", &[&b"\x28\xb5\x2f\xfd"[..], &text].concat()),
    ] {
        let refused = stand.upload("none", bytes).await.expect_err(what);
        assert_reason(&refused, Reason::ArchiveInvalid, "");
    }
    let left = stand.names("none").await;
    assert!(left.is_empty() || left == ["file"], "{left:?}");
    assert_eq!(stand.upload("none", b"").await.unwrap().entries, 0);
}

/// A few bytes that say to be many.
async fn bombs(stand: &Stand) {
    // A name of gigabytes, which is never sent.
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(EntryType::GNULongName);
    header.set_size(8 << 30);
    header.set_cksum();
    let refused = stand.upload("b", header.as_bytes()).await.unwrap_err();
    assert_reason(&refused, Reason::ArchiveInvalid, "");
    // Gigabytes of zeros in a few megabytes take no room.
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.as_old_mut().name[..5].copy_from_slice(b"zeros");
    header.set_size(1 << 30);
    header.set_mode(0o644);
    header.set_cksum();
    let mut bomb = zipped(header.as_bytes());
    bomb.extend(zipped(&vec![0; 1 << 20]).repeat(1024));
    bomb.extend(zipped(&[0; 1024]));
    let summary = stand.upload("b", &bomb).await.unwrap();
    assert_eq!((summary.entries, summary.bytes), (1, 1 << 30));
    let room: u64 = stand
        .sh("du -k b/zeros | cut -f1")
        .await
        .trim()
        .parse()
        .unwrap();
    assert!(room < 1024, "{room} KiB");
    // A size that nothing has, of which nothing comes.
    header.set_size(1 << 60);
    header.set_cksum();
    let refused = stand.upload("b", header.as_bytes()).await.unwrap_err();
    assert_reason(&refused, Reason::ArchiveInvalid, "");
    assert_eq!(stand.names("b").await, ["zeros"]);
}
