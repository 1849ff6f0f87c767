//! Trees through archives: what goes in comes out.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::{self, File, Permissions},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, symlink},
    },
    path::Path,
};

use proptest::prelude::*;
use sandgate_runner_proto::v1::{Compression, FileAnswer, FileRequest, Pack, PackSummary, Unpack};

use super::{Desk, Found, Work, answers};
use crate::client::{Ask, Said};

/// What a name in a tree is.
#[derive(Clone, Debug, PartialEq)]
enum Node {
    Folder(u32),
    File(u32, Vec<u8>),
    Link(Vec<u8>),
}

type Tree = BTreeMap<Vec<u8>, Node>;

pub(crate) fn pack(paths: &[&str]) -> Pack {
    Pack {
        paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        ..Pack::default()
    }
}

pub(crate) fn unpack(path: &str) -> Work {
    Work::Unpack(Unpack {
        path: path.to_owned(),
        ..Unpack::default()
    })
}

/// An archive and its summary.
pub(crate) fn packed(found: Vec<Found>) -> (Vec<u8>, PackSummary) {
    let mut bytes = Vec::new();
    for part in found {
        match part {
            Found::Data(data) => bytes.extend_from_slice(&data),
            Found::Summary(summary) => return (bytes, summary),
            other => panic!("{other:?}"),
        }
    }
    panic!("no summary")
}

pub(crate) fn summary(found: &[Found]) -> PackSummary {
    match found {
        [Found::Summary(summary)] => summary.clone(),
        other => panic!("{other:?}"),
    }
}

fn seen(top: &Path) -> Tree {
    fn below(top: &Path, folder: &Path, tree: &mut Tree) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let found = fs::symlink_metadata(&path).unwrap();
            let mode = found.mode() & 0o7777;
            let node = if found.is_dir() {
                below(top, &path, tree);
                Node::Folder(mode)
            } else if found.is_file() {
                Node::File(mode, fs::read(&path).unwrap())
            } else {
                Node::Link(
                    fs::read_link(&path)
                        .unwrap()
                        .as_os_str()
                        .as_bytes()
                        .to_vec(),
                )
            };
            let name = path
                .strip_prefix(top)
                .unwrap()
                .as_os_str()
                .as_bytes()
                .to_vec();
            tree.insert(name, node);
        }
    }
    let mut tree = Tree::new();
    below(top, top, &mut tree);
    tree
}

fn grow(top: &Path, tree: &Tree) {
    for (name, node) in tree {
        let path = top.join(OsStr::from_bytes(name));
        // Some names are in the way of others, or below files.
        if path.parent().is_none_or(|folder| !folder.is_dir()) || path.symlink_metadata().is_ok() {
            continue;
        }
        match node {
            Node::Folder(_) => fs::create_dir(&path).unwrap(),
            Node::File(mode, bytes) => {
                fs::write(&path, bytes).unwrap();
                fs::set_permissions(&path, Permissions::from_mode(*mode)).unwrap();
            }
            Node::Link(target) => symlink(OsStr::from_bytes(target), &path).unwrap(),
        }
    }
    for (name, node) in tree.iter().rev() {
        let path = top.join(OsStr::from_bytes(name));
        if let Node::Folder(mode) = node
            && path.is_dir()
            && !path.is_symlink()
        {
            fs::set_permissions(&path, Permissions::from_mode(*mode)).unwrap();
        }
    }
}

fn trees() -> impl Strategy<Value = Tree> {
    let name = prop_oneof![
        Just(b"a".to_vec()),
        Just(b"-b".to_vec()),
        Just(b"c\nd".to_vec()),
        Just(b"'\"$".to_vec()),
        Just(b"\xff\xfe".to_vec()),
        Just(vec![b'l'; 120]),
        Just(vec![b'm'; 255]),
        Just(vec![0xff; 130]),
    ];
    let path = prop::collection::vec(name, 1..4).prop_map(|parts| parts.join(&b'/'));
    let mode = 0_u32..0o1000;
    let node = prop_oneof![
        mode.clone().prop_map(|mode| Node::Folder(mode | 0o700)),
        (mode, prop::collection::vec(any::<u8>(), 0..2000))
            .prop_map(|(mode, bytes)| Node::File(mode, bytes)),
        Just(Node::Link(b"a".to_vec())),
        Just(Node::Link(b"nowhere".to_vec())),
        Just(Node::Link(b".//a/./b/".to_vec())),
        Just(Node::Link(vec![b'x'; 150])),
        Just(Node::Link(vec![0xff; 150])),
    ];
    prop::collection::btree_map(path, node, 0..20)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_tree_goes_through(tree in trees(), how in 0_i32..4) {
        let mut desk = Desk::new();
        fs::create_dir(desk.path("from")).unwrap();
        grow(&desk.path("from"), &tree);
        let compression = Compression::try_from(how).unwrap();
        let asked = Pack { compression: compression.into(), ..pack(&["from"]) };
        let (archive, packed) = packed(desk.ask(Work::Pack(asked)).unwrap());
        let parts: Vec<_> = archive.chunks(1000).collect();
        let done = summary(&desk.give(unpack("to"), &parts).unwrap());
        let due = seen(&desk.path("from"));
        prop_assert_eq!(&done, &packed);
        prop_assert_eq!(done.entries, due.len() as u64);
        prop_assert_eq!(seen(&desk.path("to")), due);
    }
}

#[test]
fn the_names_are_relative_to_what_holds_all() {
    let mut desk = Desk::new();
    for path in ["w/a/1", "w/b/c/2", "w/3"] {
        fs::create_dir_all(desk.path(path).parent().unwrap()).unwrap();
        fs::write(desk.path(path), b"x").unwrap();
    }
    for (paths, due) in [
        (&["w"][..], "3 a a/1 b b/c b/c/2"),
        (&["w/a/1"], "1"),
        (&["w/a", "w/b/c"], "a a/1 b b/c b/c/2"),
        (&["w/a", "w/a/1"], "1 1"),
        (&["w/3", "w/b/c/2"], "3 b b/c b/c/2"),
    ] {
        let (archive, _) = packed(desk.ask(Work::Pack(pack(paths))).unwrap());
        let mut archive = tar::Archive::new(&archive[..]);
        let names: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .map(|name| name.trim_end_matches('/').to_owned())
            .collect();
        let due: Vec<_> = due
            .split(' ')
            .filter(|name| !["b", "b/c"].contains(name) || paths == ["w"])
            .collect();
        let names: Vec<_> = names
            .iter()
            .map(String::as_str)
            .filter(|name| !["b", "b/c"].contains(name) || paths == ["w"])
            .collect();
        assert_eq!(names, due, "{paths:?}");
    }
    let missing = desk.ask(Work::Pack(pack(&["w", "x"]))).unwrap_err();
    assert_eq!(missing.reason, "FILE_NOT_FOUND");
}

#[test]
fn excludes_and_limits_leave_out() {
    let mut desk = Desk::new();
    for path in ["w/a.o", "w/b/a.o", "w/b/keep", "w/node_modules/x", "w/z"] {
        fs::create_dir_all(desk.path(path).parent().unwrap()).unwrap();
        fs::write(desk.path(path), [0; 100]).unwrap();
    }
    let count = |desk: &mut Desk, asked: Pack| packed(desk.ask(Work::Pack(asked)).unwrap()).1;
    let excludes = ["*.o", "node_modules"].map(str::to_owned).to_vec();
    let some = count(
        &mut desk,
        Pack {
            excludes,
            ..pack(&["w"])
        },
    );
    assert_eq!((some.entries, some.skipped_count), (3, 0));
    let deep = ["b/**".to_owned()].to_vec();
    let some = count(
        &mut desk,
        Pack {
            excludes: deep,
            ..pack(&["w"])
        },
    );
    assert_eq!(some.entries, 5);
    let some = count(
        &mut desk,
        Pack {
            max_bytes: Some(250),
            ..pack(&["w"])
        },
    );
    assert_eq!((some.bytes, some.skipped_count), (200, 3));
    assert!(some.skipped.iter().all(|one| one.reason == "LIMIT"));
    let some = count(
        &mut desk,
        Pack {
            max_entries: Some(2),
            ..pack(&["w"])
        },
    );
    assert_eq!(some.entries, 2);
}

#[test]
fn what_is_no_file_is_told() {
    let mut desk = Desk::new();
    fs::create_dir(desk.path("w")).unwrap();
    let pipe = desk.path("w/pipe");
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, pipe, kind, rustix::fs::Mode::RWXU, 0).unwrap();
    let (_, summary) = packed(desk.ask(Work::Pack(pack(&["w"]))).unwrap());
    assert_eq!(summary.entries, 0);
    assert_eq!(summary.skipped[0].reason, "NOT_REGULAR");
    assert_eq!(summary.skipped[0].path, &b"pipe"[..]);
}

#[test]
fn a_file_that_changes_meanwhile_is_marked_right_behind_its_bytes() {
    let mut desk = Desk::new();
    fs::create_dir(desk.path("w")).unwrap();
    // More than any buffer on the way takes in.
    let (large, size) = (desk.path("w/large"), 32 << 20);
    fs::write(&large, vec![b'x'; size]).unwrap();
    fs::write(desk.path("w/small"), b"y").unwrap();
    let request = FileRequest {
        body: Some(Work::Pack(pack(&["w/large", "w/small"]))),
    };
    let call = desk.client.send(Ask::File(request));
    let first = desk.client.next(call);
    File::options()
        .write(true)
        .open(&large)
        .unwrap()
        .set_len(1 << 20)
        .unwrap();
    let Said::FileAnswer(FileAnswer { body: Some(first) }) = first else {
        panic!("{first:?}")
    };
    let mut found = vec![first];
    found.extend(answers(&mut desk.client, call).unwrap());
    let (bytes, told) = packed(found);
    let skipped = &told.skipped[..];
    assert!(matches!(skipped, [one] if one.path == b"large"[..] && one.reason == "CHANGED"));
    // The header and the size stay as they were said; what follows is the mark, then the next file.
    let behind = &bytes[512 + size..];
    assert_eq!(
        (behind[156], &behind[512..531]),
        (b'g', &b"19 comment=CHANGED\n"[..])
    );
    assert!(behind[1024..].starts_with(b"small\0"));
    // Our own reader passes over it.
    fs::create_dir(desk.path("to")).unwrap();
    let parts: Vec<&[u8]> = bytes.chunks(256 << 10).collect();
    let unpacked = summary(&desk.give(unpack("to"), &parts).unwrap());
    assert_eq!((unpacked.entries, unpacked.skipped_count), (2, 0));
    assert_eq!(fs::read(desk.path("to/small")).unwrap(), b"y");
}

#[test]
fn a_change_within_one_second_is_seen_too() {
    let mut desk = Desk::new();
    let (large, size) = (desk.path("large"), 32 << 20);
    fs::write(&large, vec![b'x'; size]).unwrap();
    let request = FileRequest {
        body: Some(Work::Pack(pack(&["large"]))),
    };
    let before = fs::metadata(&large).unwrap().modified().unwrap();
    let call = desk.client.send(Ask::File(request));
    let first = desk.client.next(call);
    let file = File::options().write(true).open(&large).unwrap();
    file.write_all_at(b"z", 5).unwrap();
    // As if it had been at once.
    file.set_modified(before).unwrap();
    let Said::FileAnswer(FileAnswer { body: Some(first) }) = first else {
        panic!("{first:?}")
    };
    let mut found = vec![first];
    found.extend(answers(&mut desk.client, call).unwrap());
    let (bytes, summary) = packed(found);
    assert_eq!(summary.skipped_count, 1);
    assert_eq!(bytes[512 + size + 156], b'g');
}
