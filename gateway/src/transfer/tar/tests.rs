//! Archives that are well, and bytes that are none.

use std::io::Write as _;

use futures::FutureExt as _;
use proptest::prelude::*;
use tar::Builder;

use super::*;

/// Bytes that come in pieces of this size.
struct Pieces(Bytes, usize);

#[async_trait]
impl Source for Pieces {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        let size = self.0.len().min(self.1);
        Ok((size > 0).then(|| self.0.split_to(size)))
    }
}

type Read = (Vec<u8>, Kind, Vec<u8>);

fn read(archive: &[u8], piece: usize) -> Result<Vec<Read>> {
    let source = Pieces(Bytes::copy_from_slice(archive), piece);
    let work = async {
        let (mut tar, mut found) = (Tar::new(source), Vec::new());
        while let Some(entry) = tar.next().await? {
            let mut content = Vec::new();
            while let Some(data) = tar.data().await? {
                content.extend_from_slice(&data);
                assert!(content.len() as u64 <= entry.size);
            }
            found.push((entry.name, entry.kind, content));
        }
        tar.end().await?;
        Ok(found)
    };
    // Nothing here ever waits.
    work.now_or_never().unwrap()
}

fn header(kind: EntryType, size: usize) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size as u64);
    header.set_mode(0o644);
    header
}

fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = header(EntryType::Regular, content.len());
        builder.append_data(&mut header, name, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

#[test]
fn names_and_content_come_out_as_they_went_in_however_they_are_cut() {
    let long = format!("d/{}", "x".repeat(300));
    let large = vec![7; 5000];
    let files = [("a", &b"hello"[..]), (&long, b""), ("b/c", &large)];
    let archive = archive(&files);
    for piece in [1, 7, 512, 1000, 100_000] {
        let found = read(&archive, piece).unwrap();
        let wanted =
            files.map(|(name, content)| (name.as_bytes().to_vec(), Kind::File, content.to_vec()));
        assert_eq!(found, wanted, "{piece}");
    }
}

#[test]
fn what_is_no_file_is_told_apart_and_passed_over() {
    let mut builder = Builder::new(Vec::new());
    for (kind, name) in [
        (EntryType::Directory, "d/"),
        (EntryType::Symlink, "s"),
        (EntryType::Link, "l"),
        (EntryType::Fifo, "f"),
        (EntryType::Char, "c"),
    ] {
        let mut header = header(kind, 0);
        header.set_path(name).unwrap();
        if kind == EntryType::Symlink {
            header.set_link_name("/etc/passwd").unwrap();
        }
        header.set_cksum();
        builder.append(&header, &b""[..]).unwrap();
    }
    let pax = [("path", &b"named by pax"[..]), ("size", b"3")];
    builder.append_pax_extensions(pax).unwrap();
    builder
        .append_data(&mut header(EntryType::Regular, 3), "other", &b"abc"[..])
        .unwrap();
    let found = read(&builder.into_inner().unwrap(), 512).unwrap();
    let kinds: Vec<_> = found.iter().map(|(_, kind, _)| *kind).collect();
    let other = Kind::Other;
    assert_eq!(
        kinds,
        [Kind::Folder, other, other, other, other, Kind::File]
    );
    assert_eq!(found[5].0, b"named by pax");
    assert_eq!(found[5].2, b"abc");
}

#[test]
fn what_is_cut_off_or_no_archive_is_an_error() {
    let whole = archive(&[("a", &[1; 700])]);
    for end in [0, 1, 511, 513, 1100, 1500] {
        let problem = read(&whole[..end], 100).unwrap_err();
        assert_eq!(problem.reason(), Reason::ArchiveInvalid, "{end}");
    }
    let mut wrong = whole.clone();
    wrong[0] ^= 1;
    assert!(read(&wrong, 512).is_err(), "the checksum");
    // What stands behind the end is no more of it.
    let mut more = whole;
    more.write_all(b"rubbish").unwrap();
    assert_eq!(read(&more, 512).unwrap().len(), 1);
}

#[test]
fn headers_without_end_are_refused() {
    let long = |size: usize| {
        let mut header = header(EntryType::GNULongName, size);
        header.set_path("././@LongLink").unwrap();
        header.set_cksum();
        let mut bytes = header.as_bytes().to_vec();
        bytes.resize(BLOCK + size.next_multiple_of(BLOCK), b'x');
        bytes
    };
    assert!(read(&long(1 << 20), 4096).is_err());
    let mut many = long(10).repeat(100);
    many.extend(archive(&[("a", b"")]));
    assert!(read(&many, 4096).is_err());
    let mut huge = header(EntryType::Regular, 0);
    huge.set_size(u64::MAX);
    huge.set_path("a").unwrap();
    huge.set_cksum();
    assert!(read(huge.as_bytes(), 512).is_err());
}

#[derive(Clone, Copy)]
enum Part {
    File(&'static str),
    Mark(&'static str),
}
use Part::{File, Mark};

/// Archive in which each part is a file, or a record of a global header.
fn with_marks(parts: &[Part]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for part in parts {
        match part {
            File(name) => {
                let mut header = header(EntryType::Regular, name.len());
                builder
                    .append_data(&mut header, name, name.as_bytes())
                    .unwrap();
            }
            Mark(record) => {
                let mut header = header(EntryType::XGlobalHeader, record.len());
                header.set_path("pax_global_header").unwrap();
                header.set_cksum();
                builder.append(&header, record.as_bytes()).unwrap();
            }
        }
    }
    builder.into_inner().unwrap()
}

/// The files of an archive, each with whether it is said to have changed.
fn changed(archive: &[u8]) -> Result<Vec<(String, bool)>> {
    let source = Pieces(Bytes::copy_from_slice(archive), 100);
    let work = async {
        let (mut tar, mut found) = (Tar::new(source), Vec::new());
        while let Some(entry) = tar.next().await? {
            let name = String::from_utf8(entry.name).unwrap();
            found.push((name, tar.has_changed().await?));
        }
        Ok(found)
    };
    work.now_or_never().unwrap()
}

#[test]
fn a_mark_is_about_the_file_before_it_and_no_other() {
    let (mark, other) = (Mark("19 comment=CHANGED\n"), Mark("18 comment=abcdef\n"));
    let all = |parts: &[Part]| changed(&with_marks(parts)).unwrap();
    let yes = |name: &str| (name.to_owned(), true);
    let no = |name: &str| (name.to_owned(), false);
    let found = all(&[
        File("a"),
        mark,
        File("b"),
        other,
        File("c"),
        File("d"),
        mark,
    ]);
    assert_eq!(found, [yes("a"), no("b"), no("c"), yes("d")]);
    // Where it is about nothing it means nothing.
    let found = all(&[
        mark,
        File("a"),
        other,
        mark,
        File("b"),
        mark,
        mark,
        File("c"),
    ]);
    assert_eq!(found, [no("a"), yes("b"), no("c")]);
    let none = read(&with_marks(&[File("a"), mark]), 512).unwrap();
    assert_eq!(none.len(), 1, "every reader passes over it");
}

#[test]
fn nothing_is_known_of_a_file_before_what_comes_behind_it() {
    let whole = with_marks(&[File("a"), Mark("19 comment=CHANGED\n")]);
    for end in [2 * BLOCK, 2 * BLOCK + 100, 3 * BLOCK, 3 * BLOCK + 10] {
        let problem = changed(&whole[..end]).unwrap_err();
        assert_eq!(problem.reason(), Reason::ArchiveInvalid, "{end}");
    }
    let nothing_said = with_marks(&[File("a"), Mark("rubbish")]);
    assert_eq!(changed(&nothing_said).unwrap(), [("a".to_owned(), false)]);
}

proptest! {
    #[test]
    fn no_bytes_bring_it_down(
        bytes in proptest::collection::vec(any::<u8>(), 0..4096),
        piece in 1usize..700,
    ) {
        let _ = read(&bytes, piece);
    }

    #[test]
    fn no_change_of_an_archive_does_either(
        at in 0usize..4096,
        byte in any::<u8>(),
        fixed in any::<bool>(),
    ) {
        let mut bytes = archive(&[("a", &[1; 700]), ("b", b"x")]);
        let at = at % bytes.len();
        bytes[at] = byte;
        if fixed && at < BLOCK {
            let mut header = Header::from_byte_slice(&bytes[..BLOCK]).clone();
            header.set_cksum();
            bytes[..BLOCK].copy_from_slice(header.as_bytes());
        }
        let _ = read(&bytes, 512);
    }
}
