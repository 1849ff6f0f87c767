//! Places of clones.

use std::os::unix::fs::MetadataExt as _;

use super::*;

fn names(folder: &Path) -> Vec<std::ffi::OsString> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    names
}

#[test]
fn what_was_made_for_it_is_taken_away_again() {
    let folder = tempfile::tempdir().unwrap();
    let top = folder.path();
    let place = Place::new(&top.join("owner/repo")).unwrap();
    assert_eq!(place.work.parent(), place.target.parent());
    assert!(!place.target.exists());
    fs::create_dir(place.work.join("objects")).unwrap();
    place.undo();
    assert_eq!(fs::read_dir(top).unwrap().count(), 0);

    let place = Place::new(&top.join("owner/repo")).unwrap();
    fs::write(place.work.join("file"), "").unwrap();
    place.finish().unwrap();
    assert!(top.join("owner/repo/file").exists());
    assert_eq!(names(&top.join("owner")), ["repo"]);
}

#[test]
fn many_at_once_below_one_new_folder() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..100 {
        let owner = folder.path().join(format!("{round}/owner"));
        std::thread::scope(|scope| {
            for name in 0..6 {
                let target = owner.join(name.to_string());
                scope.spawn(move || {
                    let place = Place::new(&target).unwrap();
                    match name % 2 {
                        0 => place.finish().unwrap(),
                        _ => place.undo(),
                    }
                });
            }
        });
        assert_eq!(names(&owner), ["0", "2", "4"]);
    }
}

#[test]
fn an_empty_folder_is_filled_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::new(folder.path()).unwrap();
    let filled = |place: &Place| {
        fs::create_dir_all(place.work.join("a/b")).unwrap();
        fs::create_dir(place.work.join(".git")).unwrap();
        fs::write(place.work.join("c"), "").unwrap();
    };
    let there = || names(folder.path());
    let before = fs::metadata(folder.path()).unwrap().ino();
    filled(&place);
    assert_eq!(there(), [place.work.file_name().unwrap()]);
    place.undo();
    assert!(there().is_empty());

    // What came meanwhile stays, and nothing else.
    let place = Place::new(folder.path()).unwrap();
    filled(&place);
    fs::write(folder.path().join("mine"), "").unwrap();
    assert!(place.finish().is_err());
    place.undo();
    assert_eq!(there(), ["mine"]);
    fs::remove_file(folder.path().join("mine")).unwrap();

    let place = Place::new(folder.path()).unwrap();
    filled(&place);
    place.finish().unwrap();
    assert_eq!(there(), [".git", "a", "c"]);
    assert!(folder.path().join("a/b").is_dir());
    assert_eq!(fs::metadata(folder.path()).unwrap().ino(), before);
}

#[test]
fn what_is_there_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let top = folder.path();
    fs::write(top.join("file"), "mine").unwrap();
    std::os::unix::fs::symlink("nowhere", top.join("link")).unwrap();
    for (path, errno) in [
        ("", Errno::NOTEMPTY),
        ("file", Errno::NOTDIR),
        ("file/repo", Errno::NOTDIR),
        ("link", Errno::EXIST),
    ] {
        let error = Place::new(&top.join(path)).unwrap_err();
        assert_eq!(Errno::from_io_error(&error), Some(errno), "{path}");
    }
    let place = Place::new(&top.join("new")).unwrap();
    fs::create_dir(top.join("new")).unwrap();
    fs::write(top.join("new/mine"), "").unwrap();
    assert!(place.finish().is_err());
    place.undo();
    assert!(top.join("new/mine").exists());
}
