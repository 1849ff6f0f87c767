//! Paths as callers give them, and folders that belong to a user.

use std::{
    fs, io,
    os::unix::fs::chown,
    path::{Component, Path, PathBuf},
};

use super::users::User;

/// The absolute path that a user means: from its home on, `~` is its home, and so is nothing.
pub(super) fn resolve(path: &str, user: &User) -> PathBuf {
    let rest = match path {
        "" | "~" => return user.home.clone(),
        path => path.strip_prefix("~/").unwrap_or(path),
    };
    let mut clean = PathBuf::from("/");
    for part in user.home.join(rest).components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => {
                clean.pop();
            }
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    clean
}

/// Makes a folder and those above it; what was not there before is the user's.
///
/// # Errors
/// Where it cannot, as when a file is in the way.
pub(super) fn make(path: &Path, user: &User) -> io::Result<()> {
    let mut missing = Vec::new();
    let mut at = path;
    while !at.is_dir() {
        missing.push(at);
        match at.parent() {
            Some(parent) => at = parent,
            None => break,
        }
    }
    for folder in missing.into_iter().rev() {
        fs::create_dir(folder)?;
        own(folder, user)?;
    }
    Ok(())
}

/// Gives a file to a user.
///
/// # Errors
/// Where it cannot.
pub(super) fn own(path: &Path, user: &User) -> io::Result<()> {
    chown(path, Some(user.uid), Some(user.gid))
}

#[test]
fn paths_are_the_users() {
    let user = User {
        name: "user".to_owned(),
        uid: 1000,
        gid: 1000,
        home: "/home/user".into(),
    };
    for (given, meant) in [
        ("", "/home/user"),
        ("~", "/home/user"),
        ("~/a", "/home/user/a"),
        ("a/./b", "/home/user/a/b"),
        ("../x", "/home/x"),
        ("/a//b/../c/", "/a/c"),
        ("/../..", "/"),
    ] {
        assert_eq!(resolve(given, &user), Path::new(meant), "{given}");
    }
}
