//! Archives that would have more made than anybody can hold.

use std::{fs, os::unix::fs::MetadataExt as _};

use tar::{Builder, EntryType, Header};

use super::{
    Desk,
    archive::{summary, unpack},
};

/// An entry whose name goes ahead of it, as GNU tar does with long ones.
fn entry(builder: &mut Builder<Vec<u8>>, name: &[u8], kind: EntryType, link: &str) {
    let mut long = Header::new_gnu();
    long.set_entry_type(EntryType::GNULongName);
    long.set_size(name.len() as u64);
    long.set_cksum();
    builder.append(&long, name).unwrap();
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(0o755);
    header.set_size(0);
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_cksum();
    builder.append(&header, &b""[..]).unwrap();
}

#[test]
fn a_name_of_many_directories_is_left_out() {
    let mut desk = Desk::new();
    let mut builder = Builder::new(Vec::new());
    entry(
        &mut builder,
        &b"a/".repeat(500_000),
        EntryType::Directory,
        "",
    );
    entry(&mut builder, &b"b".repeat(4097), EntryType::Regular, "");
    entry(&mut builder, b"good", EntryType::Regular, "");
    let archive = builder.into_inner().unwrap();
    let parts: Vec<_> = archive.chunks(1 << 18).collect();
    let done = summary(&desk.give(unpack("in"), &parts).unwrap());
    let reasons: Vec<_> = done.skipped.iter().map(|one| &one.reason[..]).collect();
    assert_eq!((reasons, done.entries), (vec!["LIMIT", "LIMIT"], 1));
    assert_eq!(fs::read_dir(desk.path("in")).unwrap().count(), 1);
}

/// What is kept of directories until the end is bounded, and so is what the worker holds.
#[test]
fn many_deep_directories_take_no_memory_without_end() {
    let mut desk = Desk::new();
    let mut builder = Builder::new(Vec::new());
    let deep = [&[b'd'; 254][..], b"/"].concat().repeat(16);
    for _ in 0..20_000 {
        entry(&mut builder, &deep, EntryType::Directory, "");
    }
    let archive = builder.into_inner().unwrap();
    let parts: Vec<_> = archive.chunks(1 << 18).collect();
    let done = summary(&desk.give(unpack("in"), &parts).unwrap());
    assert!(
        done.entries > 10_000 && done.skipped_count > 1000,
        "{done:?}"
    );
    assert_eq!(done.entries + done.skipped_count, 20_000);
    assert!(done.skipped.iter().all(|one| one.reason == "LIMIT"));
}

#[test]
fn a_link_to_itself_leaves_the_file() {
    let mut desk = Desk::new();
    fs::create_dir(desk.path("in")).unwrap();
    fs::write(desk.path("in/file"), b"kept").unwrap();
    fs::write(desk.path("in/old"), b"old").unwrap();
    let mut builder = Builder::new(Vec::new());
    entry(&mut builder, b"file", EntryType::Link, "file");
    entry(&mut builder, b"old", EntryType::Link, "file");
    entry(&mut builder, b"old", EntryType::Link, "missing");
    entry(&mut builder, b"old", EntryType::Link, "file");
    let archive = builder.into_inner().unwrap();
    let done = summary(&desk.give(unpack("in"), &[&archive]).unwrap());
    assert_eq!((done.entries, done.skipped_count), (3, 1), "{done:?}");
    assert_eq!(done.skipped[0].reason, "WRITE_FAILED");
    for name in ["in/file", "in/old"] {
        assert_eq!(fs::read(desk.path(name)).unwrap(), b"kept");
        assert_eq!(fs::metadata(desk.path(name)).unwrap().nlink(), 2);
    }
    assert_eq!(fs::read_dir(desk.path("in")).unwrap().count(), 2);
}
