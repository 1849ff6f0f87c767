//! What is at the edge of what a name can be: slashes at its end, steps up, what cannot be looked into.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt as _, symlink},
};

use sandgate_runner_proto::v1::{
    FileKind, ListFiles, MakeFolder, ReadFile, RemoveFile, StatFile, Unpack,
};

use super::{
    Desk, Found, Work,
    archive::{pack, packed},
};

fn stat(path: &str) -> Work {
    Work::Stat(StatFile {
        path: path.to_owned(),
    })
}

fn remove(path: &str) -> Work {
    Work::Remove(RemoveFile {
        path: path.to_owned(),
        recursive: true,
        allow_missing: false,
    })
}

#[test]
fn a_slash_at_the_end_follows_no_link() {
    let mut desk = Desk::new();
    fs::create_dir_all(desk.path("kept/in")).unwrap();
    fs::write(desk.path("kept/file"), b"").unwrap();
    for name in ["link/", "link//", "link/.", "link/./"] {
        symlink("kept", desk.path("link")).unwrap();
        let info = desk.info(stat(name)).unwrap();
        assert_eq!(info.kind(), FileKind::Symlink, "{name}");
        desk.ask(remove(name)).unwrap();
        assert_eq!(desk.names(), ["kept"], "{name}");
        assert!(desk.path("kept/file").exists(), "{name}");
    }
    assert_eq!(
        desk.info(stat("kept/")).unwrap().kind(),
        FileKind::Directory
    );
    assert_eq!(desk.info(stat("/")).unwrap().kind(), FileKind::Directory);
    assert_eq!(desk.refusal(remove("/")), "BAD_PATH");
    desk.ask(remove("kept/")).unwrap();
    assert!(desk.names().is_empty());
}

#[test]
fn a_deep_tree_is_removed() {
    let mut desk = Desk::new();
    let deep = format!("deep/{}", "d/".repeat(1900));
    let make = MakeFolder {
        path: deep,
        parents: true,
        mode: None,
    };
    desk.ask(Work::MakeFolder(make)).unwrap();
    desk.ask(remove("deep")).unwrap();
    assert!(desk.names().is_empty());
}

#[test]
fn parents_can_be_gone_through_whatever_the_mode() {
    let mut desk = Desk::new();
    let make = MakeFolder {
        path: "a/b/c".to_owned(),
        parents: true,
        mode: Some(0o400),
    };
    assert_eq!(desk.info(Work::MakeFolder(make)).unwrap().mode, 0o400);
    assert_eq!(desk.info(stat("a/b")).unwrap().mode, 0o755);
}

#[test]
fn steps_up_are_no_names_in_an_archive() {
    let mut desk = Desk::new();
    for name in ["a/in", "b"] {
        fs::create_dir_all(desk.path(name)).unwrap();
    }
    for name in ["a/one", "b/two"] {
        fs::write(desk.path(name), name).unwrap();
    }
    symlink("a/in", desk.path("link")).unwrap();
    // The last leads through a link, where `..` is not what it looks like.
    for (paths, due) in [
        (["a", "a/../b"], "a a/in a/one b b/two"),
        (["b", "link/../one"], "a/one b b/two"),
    ] {
        let (archive, summary) = packed(desk.ask(Work::Pack(pack(&paths))).unwrap());
        assert_eq!(summary.skipped, [], "{paths:?}");
        let mut archive = tar::Archive::new(&archive[..]);
        let names = archive.entries().unwrap().map(|entry| {
            let name = entry.unwrap().path().unwrap().display().to_string();
            name.trim_end_matches('/').to_owned()
        });
        let mut names: Vec<_> = names.collect();
        names.sort();
        assert_eq!(names.join(" "), due);
    }
}

/// Everything may be read by root, so that somebody else has to ask.
#[test]
fn what_cannot_be_looked_into_is_not_empty() {
    if !rustix::process::getuid().is_root() {
        return;
    }
    let mut desk = Desk::of("65534");
    let open = |name: &str, mode| {
        fs::set_permissions(desk.path(name), Permissions::from_mode(mode)).unwrap();
    };
    fs::create_dir(desk.path("half")).unwrap();
    fs::write(desk.path("half/file"), b"").unwrap();
    open("", 0o755);
    open("half", 0o744);
    let list = |path: &str| {
        Work::List(ListFiles {
            path: path.to_owned(),
            depth: 2,
            limit: 10,
            ..ListFiles::default()
        })
    };
    assert_eq!(desk.refusal(list("half")), "FILE_ACCESS_DENIED");
    let above = desk.ask(list(".")).unwrap();
    let [Found::Entries(above)] = &above[..] else {
        panic!("{above:?}");
    };
    assert_eq!(above.entries.len(), 1, "it is there as a name");
    let unpack = Unpack {
        path: "none".to_owned(),
        ..Unpack::default()
    };
    assert_eq!(desk.refusal(Work::Unpack(unpack)), "FILE_ACCESS_DENIED");
}

#[test]
fn a_file_that_is_made_up_is_whole_or_refused() {
    let mut desk = Desk::new();
    let read = |path: &str| {
        Work::Read(ReadFile {
            path: path.to_owned(),
            ..ReadFile::default()
        })
    };
    assert!(desk.ask(read("/proc/self/status")).is_ok());
    // As long as the memory that a process can have.
    if rustix::process::getuid().is_root() {
        let refused = desk.ask(read("/proc/kpagecount")).map(|found| found.len());
        assert!(
            matches!(&refused, Err(refused) if refused.reason == "MADE_UP_TOO_LARGE" || refused.reason == "FILE_NOT_FOUND")
                || refused.is_ok_and(|parts| parts < 67),
        );
    }
}
