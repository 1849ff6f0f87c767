//! Archives that want out, or never to end.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{MetadataExt as _, symlink},
};

use bytes::Bytes;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use sandgate_runner_proto::v1::{FileData, FileRequest, Skipped, WriteFile};
use tar::{Builder, EntryType, Header};

use super::{
    Desk, Work, answers,
    archive::{summary, unpack},
};
use crate::client::Ask;

/// An entry with a name that nobody checked.
fn entry(builder: &mut Builder<Vec<u8>>, name: &[u8], kind: EntryType, link: &[u8], data: &[u8]) {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link);
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(data.len() as u64);
    header.set_cksum();
    builder.append(&header, data).unwrap();
}

/// What was left out, and why.
fn told(one: &Skipped) -> String {
    format!("{} {}", String::from_utf8_lossy(&one.path), one.reason)
}

#[test]
fn nothing_leaves_the_directory() {
    let mut desk = Desk::new();
    fs::create_dir(desk.path("outside")).unwrap();
    fs::create_dir(desk.path("in")).unwrap();
    symlink("../outside", desk.path("in/there")).unwrap();
    fs::write(desk.path("outside/secret"), b"secret").unwrap();
    let absolute = desk.path("outside/absolute");
    let mut builder = Builder::new(Vec::new());
    let (file, link, hard) = (EntryType::Regular, EntryType::Symlink, EntryType::Link);
    for (name, kind, target) in [
        (absolute.to_str().unwrap(), file, ""),
        ("../outside/up", file, ""),
        ("a/../../outside/up", file, ""),
        ("there/through", file, ""),
        ("up", link, "../outside"),
        ("abs", link, "/etc"),
        ("sneak", link, "a/../.."),
        ("up/file", file, ""),
        ("hard", hard, "../outside/secret"),
        ("hard2", hard, "there/secret"),
        ("device", EntryType::Char, ""),
        ("pipe", EntryType::Fifo, ""),
        ("good", file, ""),
        ("fine", link, "good"),
        ("twin", hard, "good"),
    ] {
        entry(&mut builder, name.as_bytes(), kind, target.as_bytes(), b"");
    }
    let archive = builder.into_inner().unwrap();
    let done = summary(&desk.give(unpack("in"), &[&archive]).unwrap());
    let skipped: Vec<_> = done.skipped.iter().map(told).collect();
    assert_eq!(
        skipped,
        [
            &format!("{} OUTSIDE", absolute.display()),
            "../outside/up OUTSIDE",
            "a/../../outside/up OUTSIDE",
            "there/through LINK_OUTSIDE",
            "up LINK_OUTSIDE",
            "abs LINK_OUTSIDE",
            "sneak LINK_OUTSIDE",
            "hard LINK_OUTSIDE",
            "hard2 LINK_OUTSIDE",
            "device NOT_REGULAR",
            "pipe NOT_REGULAR",
        ]
    );
    assert_eq!(done.entries, 4);
    assert_eq!(desk.names(), ["in", "outside"]);
    assert_eq!(fs::read_dir(desk.path("outside")).unwrap().count(), 1);
    // `up` could not be made as a link, so that it became a folder of its own.
    assert!(desk.path("in/up/file").is_file());
}

#[test]
fn a_link_that_is_in_the_way_is_replaced_and_not_followed() {
    let mut desk = Desk::new();
    fs::create_dir(desk.path("in")).unwrap();
    fs::write(desk.path("victim"), b"old").unwrap();
    symlink("../victim", desk.path("in/file")).unwrap();
    let mut builder = Builder::new(Vec::new());
    entry(&mut builder, b"file", EntryType::Regular, b"", b"new");
    let archive = builder.into_inner().unwrap();
    desk.give(unpack("in"), &[&archive]).unwrap();
    assert_eq!(fs::read(desk.path("victim")).unwrap(), b"old");
    assert_eq!(fs::read(desk.path("in/file")).unwrap(), b"new");
}

#[test]
fn what_is_no_archive_is_told() {
    let mut desk = Desk::new();
    let mut builder = Builder::new(Vec::new());
    entry(&mut builder, b"file", EntryType::Regular, b"", &[7; 2000]);
    let whole = builder.into_inner().unwrap();
    let mut bad_zip = vec![0x1f, 0x8b];
    bad_zip.extend([7; 600]);
    let mut zip = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    zip.write_all(&whole).unwrap();
    let mut zip = zip.finish().unwrap();
    let sum = zip.len() - 8;
    zip[sum] ^= 1;
    for bytes in [
        &whole[..1500],
        // All of the entry, and no end of the archive.
        &whole[..2560],
        &zip[..sum],
        &zip,
        &b"no archive at all, but long enough to be read as one".repeat(20)[..],
        &bad_zip,
    ] {
        let refused = desk.give(unpack("in"), &[bytes]).unwrap_err();
        assert_eq!(refused.reason, "ARCHIVE_INVALID", "{refused:?}");
    }
    // A half written file is none.
    assert_eq!(fs::read_dir(desk.path("in")).unwrap().count(), 1);
    assert_eq!(fs::read(desk.path("in/file")).unwrap(), [7; 2000]);
    assert_eq!(summary(&desk.give(unpack("in"), &[]).unwrap()).entries, 0);
}

#[test]
fn a_name_without_an_end_is_no_way_to_our_memory() {
    let mut desk = Desk::new();
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::GNULongName);
    header.set_size(8 << 30);
    header.set_cksum();
    let call = desk.client.send(Ask::File(FileRequest {
        body: Some(unpack("in")),
    }));
    let head = Bytes::copy_from_slice(header.as_bytes());
    let name = Bytes::from(vec![b'a'; 1 << 20]);
    // More than a worker may hold.
    for part in 0..=1024 {
        let data = if part == 0 { &head } else { &name };
        let data = FileData {
            data: data.clone(),
            eof: part == 1024,
        };
        desk.client.send_as(call, Ask::FileData(data));
    }
    let refused = answers(&mut desk.client, call).unwrap_err();
    assert_eq!(refused.reason, "ARCHIVE_INVALID");
    assert_eq!(summary(&desk.give(unpack("in"), &[]).unwrap()).entries, 0);
}

#[test]
fn zeros_take_no_room() {
    let mut desk = Desk::new();
    let mut builder = Builder::new(Vec::new());
    let zeros = vec![0; 64 << 20];
    entry(&mut builder, b"file", EntryType::Regular, b"", &zeros);
    let archive = builder.into_inner().unwrap();
    desk.give(unpack("in"), &archive.chunks(1 << 20).collect::<Vec<_>>())
        .unwrap();
    let found = fs::metadata(desk.path("in/file")).unwrap();
    assert_eq!(found.len(), 64 << 20);
    assert!(found.blocks() * 512 < 1 << 20, "{}", found.blocks());
}

/// Its content is a list of holes, which the file is not.
#[test]
fn a_file_with_a_list_of_its_holes_is_left_out() {
    let mut desk = Desk::new();
    let mut builder = Builder::new(Vec::new());
    let holes = [("GNU.sparse.major", &b"1"[..]), ("GNU.sparse.minor", b"0")];
    builder.append_pax_extensions(holes).unwrap();
    entry(&mut builder, b"holes", EntryType::Regular, b"", b"1\n0\n");
    entry(&mut builder, b"file", EntryType::Regular, b"", b"x");
    let archive = builder.into_inner().unwrap();
    let done = summary(&desk.give(unpack("in"), &[&archive]).unwrap());
    let skipped: Vec<_> = done.skipped.iter().map(told).collect();
    assert_eq!(
        (skipped, done.entries),
        (["holes NOT_REGULAR".to_owned()].to_vec(), 1)
    );
}

/// Who sends hears of it at once, and need not send the rest.
#[test]
fn a_refusal_does_not_wait_for_the_content() {
    let mut desk = Desk::new();
    fs::create_dir(desk.path("folder")).unwrap();
    let write = Work::Write(WriteFile {
        path: "folder".to_owned(),
        ..WriteFile::default()
    });
    let body = Some(write);
    let call = desk.client.send(Ask::File(FileRequest { body }));
    let refused = answers(&mut desk.client, call).unwrap_err();
    assert_eq!(refused.reason, "IS_A_DIRECTORY");
    // What was on its way is no harm to the next request.
    for eof in [false, true] {
        let data = Bytes::from_static(b"late");
        let data = FileData { data, eof };
        desk.client.send_as(call, Ask::FileData(data));
    }
    assert_eq!(summary(&desk.give(unpack("in"), &[]).unwrap()).entries, 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Bytes that somebody damaged end in a summary or in a refusal, and stay inside.
    #[test]
    fn damage_is_contained(at in 0_usize..2048, to in any::<u8>(), cut in 1_usize..2560) {
        let mut desk = Desk::new();
        let mut builder = Builder::new(Vec::new());
        entry(&mut builder, b"a/file", EntryType::Regular, b"", b"content");
        entry(&mut builder, b"a/link", EntryType::Symlink, b"file", b"");
        let mut archive = builder.into_inner().unwrap();
        let at = at % archive.len();
        archive[at] = to;
        let cut = cut.min(archive.len());
        match desk.give(unpack("in"), &[&archive[..cut]]) {
            Ok(_) => {}
            Err(refused) => prop_assert_eq!(refused.reason, "ARCHIVE_INVALID"),
        }
        prop_assert_eq!(desk.names(), ["in"]);
    }
}
