//! Reading and writing one file.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{PermissionsExt as _, symlink},
};

use bytes::Bytes;
use sandgate_runner_proto::v1::{
    Disposition, FileData, FileEnd, FileKind, FileRequest, ReadFile, StatFile, WriteFile,
};
use sha2::{Digest as _, Sha256};

use super::{Desk, Found, Work};
use crate::{client::Ask, program::wait_until};

fn write(path: &str) -> WriteFile {
    WriteFile {
        path: path.to_owned(),
        ..WriteFile::default()
    }
}

fn read(path: &str) -> ReadFile {
    ReadFile {
        path: path.to_owned(),
        ..ReadFile::default()
    }
}

/// What was read, and the end.
fn content(found: &[Found]) -> (Vec<u8>, FileEnd) {
    let [Found::Opened(_), data @ .., Found::End(end)] = found else {
        panic!("{found:?}");
    };
    let mut all = Vec::new();
    for part in data {
        match part {
            Found::Data(bytes) => all.extend_from_slice(bytes),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(end.bytes, all.len() as u64);
    (all, end.clone())
}

#[test]
fn what_is_written_is_read() {
    let mut desk = Desk::new();
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
    for size in [0, 1, 300_000, 3_000_000] {
        let bytes = &bytes[..size];
        let parts: Vec<_> = bytes.chunks(200_000).collect();
        let found = desk.give(Work::Write(write("file")), &parts).unwrap();
        let [Found::Info(info)] = &found[..] else {
            panic!("{found:?}");
        };
        assert_eq!(info.sha256, Sha256::digest(bytes)[..]);
        assert_eq!((info.size, info.mode), (size as u64, 0o644));
        assert_eq!(info.kind(), FileKind::File);
        let found = desk.ask(Work::Read(read("file"))).unwrap();
        let (all, end) = content(&found);
        assert!(all == bytes);
        assert_eq!(end.etag, info.etag);
    }
    assert_eq!(desk.names(), ["file"]);
}

#[test]
fn ranges_are_read_and_checked() {
    let mut desk = Desk::new();
    fs::write(desk.path("file"), b"0123456789").unwrap();
    for (offset, limit, due) in [
        (3, None, "3456789"),
        (3, Some(2), "34"),
        (0, Some(0), ""),
        (10, None, ""),
        (9, Some(100), "9"),
    ] {
        let asked = ReadFile {
            offset,
            limit,
            ..read("file")
        };
        let found = desk.ask(Work::Read(asked)).unwrap();
        assert_eq!(content(&found).0, due.as_bytes());
    }
    let past = ReadFile {
        offset: 11,
        ..read("file")
    };
    let refused = desk.ask(Work::Read(past)).unwrap_err();
    assert_eq!(refused.reason, "OFFSET_OUT_OF_RANGE");
    assert_eq!(refused.offset, 10);
    let other = ReadFile {
        if_match: "another".to_owned(),
        ..read("file")
    };
    assert_eq!(desk.refusal(Work::Read(other)), "ETAG_MISMATCH");
}

#[test]
fn a_file_that_the_kernel_makes_up_is_read() {
    let mut desk = Desk::new();
    let found = desk.ask(Work::Read(read("/proc/version"))).unwrap();
    assert!(content(&found).0.starts_with(b"Linux"));
}

#[test]
fn dispositions_mean_what_they_say() {
    let mut desk = Desk::new();
    let with = |disposition: Disposition| WriteFile {
        disposition: disposition.into(),
        ..write("file")
    };
    desk.give(Work::Write(with(Disposition::Create)), &[b"one"])
        .unwrap();
    let taken = desk.give(Work::Write(with(Disposition::Create)), &[b"two"]);
    assert_eq!(taken.unwrap_err().reason, "FILE_EXISTS");
    desk.give(Work::Write(with(Disposition::Append)), &[b", two"])
        .unwrap();
    assert_eq!(fs::read(desk.path("file")).unwrap(), b"one, two");
    let etag = desk
        .info(Work::Stat(StatFile {
            path: "file".to_owned(),
        }))
        .unwrap()
        .etag;
    let only = |if_match: &str| WriteFile {
        if_match: if_match.to_owned(),
        ..with(Disposition::Replace)
    };
    desk.give(Work::Write(only(&etag)), &[b"three"]).unwrap();
    let stale = desk.give(Work::Write(only(&etag)), &[b"four"]);
    assert_eq!(stale.unwrap_err().reason, "ETAG_MISMATCH");
    assert_eq!(fs::read(desk.path("file")).unwrap(), b"three");
    assert_eq!(desk.names(), ["file"]);
}

#[test]
fn modes_stay_or_are_set_and_links_are_followed() {
    let mut desk = Desk::new();
    fs::write(desk.path("file"), b"old").unwrap();
    let mode = |desk: &Desk| {
        fs::metadata(desk.path("file"))
            .unwrap()
            .permissions()
            .mode()
            & 0o7777
    };
    fs::set_permissions(desk.path("file"), fs::Permissions::from_mode(0o751)).unwrap();
    symlink("file", desk.path("link")).unwrap();
    desk.give(Work::Write(write("link")), &[b"new"]).unwrap();
    assert_eq!(fs::read(desk.path("file")).unwrap(), b"new");
    assert!(desk.path("link").is_symlink());
    assert_eq!(mode(&desk), 0o751);
    let with = WriteFile {
        mode: Some(0o600),
        ..write("file")
    };
    desk.give(Work::Write(with), &[b"new"]).unwrap();
    assert_eq!(mode(&desk), 0o600);
}

#[test]
fn parents_are_made_only_if_asked() {
    let mut desk = Desk::new();
    let missing = desk.give(Work::Write(write("a/b/file")), &[b"x"]);
    assert_eq!(missing.unwrap_err().reason, "FILE_NOT_FOUND");
    let with = WriteFile {
        create_parents: true,
        ..write("a/b/file")
    };
    desk.give(Work::Write(with), &[b"x"]).unwrap();
    assert_eq!(fs::read(desk.path("a/b/file")).unwrap(), b"x");
}

#[test]
fn what_is_not_what_was_announced_changes_nothing() {
    let mut desk = Desk::new();
    fs::write(desk.path("file"), b"old").unwrap();
    let size = WriteFile {
        expected_size: Some(4),
        ..write("file")
    };
    let digest = WriteFile {
        sha256: vec![7; 32].into(),
        ..write("file")
    };
    for wrong in [size, digest] {
        let refused = desk.give(Work::Write(wrong), &[b"new"]).unwrap_err();
        assert_eq!(refused.reason, "CONTENT_MISMATCH");
    }
    assert_eq!(fs::read(desk.path("file")).unwrap(), b"old");
    assert_eq!(desk.names(), ["file"]);
}

#[test]
fn a_write_that_breaks_off_leaves_the_old_file() {
    let mut desk = Desk::new();
    fs::write(desk.path("file"), b"old").unwrap();
    let mut other = desk.another();
    let body = Some(Work::Write(write("file")));
    let call = other.send(Ask::File(FileRequest { body }));
    // More than waits anywhere, so that the worker has begun.
    for _ in 0..32 {
        let data = FileData {
            data: Bytes::from(vec![1; 256 * 1024]),
            eof: false,
        };
        other.send_as(call, Ask::FileData(data));
    }
    // It has no name meanwhile, on a file system that can do that.
    assert_eq!(desk.names(), ["file"]);
    drop(other);
    wait_until(|| desk.names() == ["file"]);
    assert_eq!(fs::read(desk.path("file")).unwrap(), b"old");
    // The other connection goes on.
    assert!(desk.ask(Work::Read(read("file"))).is_ok());
}

#[test]
fn content_can_come_from_a_file() {
    let mut desk = Desk::new();
    fs::File::create(desk.path("upload"))
        .unwrap()
        .write_all(b"there already")
        .unwrap();
    let from = WriteFile {
        source: desk.path("upload").to_str().unwrap().to_owned(),
        ..write("file")
    };
    desk.ask(Work::Write(from)).unwrap();
    assert_eq!(fs::read(desk.path("file")).unwrap(), b"there already");
    assert_eq!(desk.names(), ["file"]);
}

#[test]
fn what_is_no_file_is_refused() {
    let mut desk = Desk::new();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        desk.path("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o644),
        0,
    )
    .unwrap();
    fs::create_dir(desk.path("folder")).unwrap();
    for (path, reason) in [
        ("pipe", "NOT_A_REGULAR_FILE"),
        ("folder", "IS_A_DIRECTORY"),
        ("/dev/null", "NOT_A_REGULAR_FILE"),
    ] {
        assert_eq!(desk.refusal(Work::Read(read(path))), reason, "{path}");
        let written = desk.give(Work::Write(write(path)), &[b"x"]);
        assert_eq!(written.unwrap_err().reason, reason, "{path}");
    }
    assert_eq!(desk.refusal(Work::Read(read("nothing"))), "FILE_NOT_FOUND");
    assert_eq!(desk.refusal(Work::Read(read("pipe/x"))), "NOT_A_DIRECTORY");
}
