//! Names: listed, made, removed, moved.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt as _, fs::symlink},
};

use proptest::prelude::*;
use sandgate_runner_proto::v1::{
    FileEntries, FileFacts, FileKind, ListFiles, MakeFolder, MoveFile, RemoveFile, StatFile,
};

use super::{Desk, Found, Work};

fn list(path: &str, depth: u32, after: &[u8], limit: u32) -> Work {
    Work::List(ListFiles {
        path: path.to_owned(),
        depth,
        after: after.to_vec().into(),
        limit,
    })
}

fn entries(found: Vec<Found>) -> FileEntries {
    let mut all = FileEntries::default();
    for part in found {
        match part {
            Found::Entries(part) => {
                all.entries.extend(part.entries);
                all.more = part.more;
            }
            other => panic!("{other:?}"),
        }
    }
    all
}

fn remove(path: &str, recursive: bool, allow_missing: bool) -> Work {
    Work::Remove(RemoveFile {
        path: path.to_owned(),
        recursive,
        allow_missing,
    })
}

fn rename(path: &str, new_path: &str, replace: bool) -> Work {
    Work::Move(MoveFile {
        path: path.to_owned(),
        new_path: new_path.to_owned(),
        replace,
    })
}

/// Paths below the folder.
fn inside(desk: &Desk, entries: &[FileFacts]) -> Vec<Vec<u8>> {
    let top = desk.folder.path().as_os_str().as_bytes().len() + 1;
    entries.iter().map(|one| one.path[top..].to_vec()).collect()
}

#[test]
fn a_large_directory_comes_in_pages() {
    let mut desk = Desk::new();
    for number in 0..20_000 {
        fs::write(
            desk.path(&format!("{number:05}-a-name-of-some-length")),
            b"",
        )
        .unwrap();
    }
    let (mut seen, mut after) = (Vec::new(), Vec::new());
    loop {
        let page = entries(desk.ask(list(".", 1, &after, 7_000)).unwrap());
        let names = inside(&desk, &page.entries);
        after = names.last().unwrap().clone();
        seen.extend(names);
        if !page.more {
            break;
        }
    }
    assert_eq!(seen.len(), 20_000);
    assert!(seen.is_sorted());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// However the pages are cut, a tree is listed whole, in the order of its paths.
    #[test]
    fn a_tree_is_listed_in_order(
        paths in prop::collection::btree_set("[a.\\-]{1,2}(/[a.\\-]{1,2}){0,2}", 1..20),
        limit in 1_u32..6,
    ) {
        let mut desk = Desk::new();
        for path in &paths {
            let is_plain = path.split('/').all(|part| part != "." && part != "..");
            if is_plain {
                // Some are in the way of others.
                let _ = fs::create_dir_all(desk.path(path));
            }
        }
        let all = entries(desk.ask(list(".", 64, b"", 1000)).unwrap());
        let all = inside(&desk, &all.entries);
        prop_assert!(all.is_sorted());
        let (mut seen, mut after) = (Vec::new(), Vec::new());
        loop {
            let page = entries(desk.ask(list(".", 64, &after, limit)).unwrap());
            seen.extend(inside(&desk, &page.entries));
            if !page.more {
                break;
            }
            after = seen.last().unwrap().clone();
        }
        prop_assert_eq!(seen, all);
    }
}

#[test]
fn odd_names_are_only_names() {
    let mut desk = Desk::new();
    let odd: [&[u8]; 6] = [
        b"-rf",
        b"a\nb",
        b"$(id)",
        b"'\"",
        b"\xff\xfe",
        "\u{fffd}".as_bytes(),
    ];
    for name in odd {
        fs::write(desk.folder.path().join(OsStr::from_bytes(name)), name).unwrap();
    }
    let page = entries(desk.ask(list(".", 1, b"", 100)).unwrap());
    let mut due: Vec<_> = odd.iter().map(|name| name.to_vec()).collect();
    due.sort();
    assert_eq!(inside(&desk, &page.entries), due);
    for name in ["-rf", "a\nb", "$(id)", "'\""] {
        desk.ask(remove(name, false, false)).unwrap();
    }
    assert_eq!(fs::read_dir(desk.folder.path()).unwrap().count(), 2);
}

#[test]
fn links_are_looked_at_and_not_through() {
    let mut desk = Desk::new();
    fs::create_dir(desk.path("folder")).unwrap();
    fs::write(desk.path("folder/file"), b"x").unwrap();
    symlink("folder", desk.path("link")).unwrap();
    symlink("nowhere", desk.path("broken")).unwrap();
    let stat = |path: &str| {
        Work::Stat(StatFile {
            path: path.to_owned(),
        })
    };
    let info = desk.info(stat("link")).unwrap();
    assert_eq!(info.kind(), FileKind::Symlink);
    assert_eq!(info.target, &b"folder"[..]);
    assert_eq!(desk.info(stat("broken")).unwrap().kind(), FileKind::Symlink);
    let page = entries(desk.ask(list(".", 9, b"", 100)).unwrap());
    assert_eq!(page.entries.len(), 4);
    desk.ask(remove("link", true, false)).unwrap();
    assert!(desk.path("folder/file").exists());
}

#[test]
fn folders_are_made_and_removed() {
    let mut desk = Desk::new();
    let make = |path: &str, parents, mode| {
        Work::MakeFolder(MakeFolder {
            path: path.to_owned(),
            parents,
            mode,
        })
    };
    assert_eq!(desk.refusal(make("a/b", false, None)), "FILE_NOT_FOUND");
    assert_eq!(
        desk.info(make("a/b", true, Some(0o1777))).unwrap().mode,
        0o1777
    );
    assert_eq!(
        desk.info(make("a/b", true, None)).unwrap().kind(),
        FileKind::Directory
    );
    assert_eq!(desk.refusal(make("a/b", false, None)), "FILE_EXISTS");
    assert_eq!(
        desk.refusal(remove("a", false, false)),
        "DIRECTORY_NOT_EMPTY"
    );
    desk.ask(remove("a", true, false)).unwrap();
    assert_eq!(desk.refusal(remove("a", true, false)), "FILE_NOT_FOUND");
    desk.ask(remove("a", true, true)).unwrap();
    for kept in [".", "/", "..", "./x/.."] {
        let _ = fs::create_dir(desk.path("x"));
        assert_eq!(
            desk.refusal(remove(kept, true, false)),
            "BAD_PATH",
            "{kept}"
        );
    }
}

#[test]
fn names_are_moved() {
    let mut desk = Desk::new();
    fs::write(desk.path("a"), b"a").unwrap();
    fs::write(desk.path("b"), b"b").unwrap();
    assert_eq!(desk.refusal(rename("a", "b", false)), "FILE_EXISTS");
    desk.ask(rename("a", "b", true)).unwrap();
    assert_eq!(fs::read(desk.path("b")).unwrap(), b"a");
    desk.ask(rename("b", "c", false)).unwrap();
    assert_eq!(desk.refusal(rename("b", "d", false)), "FILE_NOT_FOUND");
    // To another file system, where there is one.
    let other = tempfile::tempdir_in("/dev/shm").unwrap();
    let to = other.path().join("c");
    desk.ask(rename("c", to.to_str().unwrap(), false)).unwrap();
    assert_eq!(fs::read(&to).unwrap(), b"a");
    assert!(desk.names().is_empty());
}
