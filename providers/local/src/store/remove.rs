//! Removes a folder that hostile code has filled.

use std::{
    collections::VecDeque,
    io,
    path::{Path, PathBuf},
};

use rustix::{
    fd::{AsFd, OwnedFd},
    fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, chmodat, openat, renameat, unlinkat},
    io::Errno,
};

/// Removes `top` and all below it.
///
/// Folders are not walked down into but moved up beside the first ones and emptied in turn, so that
/// neither depth nor the length of a path matters. No symlink is ever followed. A mount point in
/// there cannot be moved, so it stays as it is and is reported. Folders that their owner closed are
/// opened first. What is gone already is no error. Nothing else may write in there meanwhile.
pub(crate) fn remove_tree(top: &Path) -> io::Result<()> {
    let Some(top_folder) = open_folder(CWD, top)? else {
        return Ok(());
    };
    let mut moved = 0u64;
    let mut queue = VecDeque::<Option<PathBuf>>::from([None]);
    while let Some(name) = queue.pop_front() {
        let folder = match &name {
            None => open_folder(CWD, top)?,
            Some(name) => open_folder(&top_folder, name)?,
        };
        if let Some(folder) = folder {
            empty(&folder, &top_folder, &mut moved, &mut queue)?;
        }
        if let Some(name) = &name {
            gone(unlinkat(&top_folder, name, AtFlags::REMOVEDIR))?;
        }
    }
    gone(unlinkat(CWD, top, AtFlags::REMOVEDIR))
}

/// Unlinks every file in `folder` and moves every folder in it up to `top`.
fn empty(
    folder: &OwnedFd,
    top: &OwnedFd,
    moved: &mut u64,
    queue: &mut VecDeque<Option<PathBuf>>,
) -> io::Result<()> {
    // Folders after all files: those that come to lie in `top` must not be read again.
    let mut folders = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let is_folder = match entry.file_type() {
            FileType::Directory => true,
            // Some file systems do not say; unlink refuses folders.
            FileType::Unknown => unlinkat(folder, name, AtFlags::empty()) == Err(Errno::ISDIR),
            _ => false,
        };
        if is_folder {
            folders.push(name.to_owned());
        } else {
            gone(unlinkat(folder, name, AtFlags::empty()))?;
        }
    }
    for name in folders {
        let target = free_name(top, moved)?;
        match renameat(folder, &name, top, &target) {
            Err(Errno::ACCESS) => {
                // Moving a folder changes its `..`, so it must be writable itself.
                chmodat(folder, &name, Mode::RWXU, AtFlags::empty())?;
                renameat(folder, &name, top, &target)?;
            }
            moved => moved?,
        }
        chmodat(top, &target, Mode::RWXU, AtFlags::empty())?;
        queue.push_back(Some(target));
    }
    Ok(())
}

/// A name in `top` that is not in use, whatever hostile code put there.
fn free_name(top: &OwnedFd, moved: &mut u64) -> io::Result<PathBuf> {
    loop {
        *moved += 1;
        let name = PathBuf::from(format!(".removed-{moved}"));
        match rustix::fs::statat(top, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => {}
            Err(Errno::NOENT) => return Ok(name),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Opens a folder, itself and not through a symlink; none where it is gone.
fn open_folder(parent: impl AsFd, name: &Path) -> io::Result<Option<OwnedFd>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(parent, name, flags, Mode::empty()) {
        Ok(folder) => Ok(Some(folder)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn gone(result: rustix::io::Result<()>) -> io::Result<()> {
    match result {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn closed_folders_links_and_odd_names_go_and_nothing_outside_does() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("kept"), "x").unwrap();
        let parent = tempfile::tempdir().unwrap();
        let top = parent.path().join("top");
        fs::create_dir_all(top.join("a/b/c")).unwrap();
        fs::create_dir_all(top.join(".removed-1/x")).unwrap();
        fs::create_dir_all(top.join("a/.removed-2")).unwrap();
        fs::write(top.join(".removed-3"), "").unwrap();
        fs::write(top.join("a/b/c/file"), "").unwrap();
        std::os::unix::fs::symlink(outside.path(), top.join("a/link")).unwrap();
        std::os::unix::fs::symlink("nowhere", top.join("dangling")).unwrap();
        fs::set_permissions(top.join("a/b"), fs::Permissions::from_mode(0o0)).unwrap();
        remove_tree(&top).unwrap();
        assert!(!top.exists());
        assert!(outside.path().join("kept").exists());
        remove_tree(&top).unwrap();
    }

    #[test]
    fn a_very_deep_tree_goes() {
        let parent = tempfile::tempdir().unwrap();
        let top = parent.path().join("top");
        fs::create_dir(&top).unwrap();
        let mut folder = open_folder(CWD, &top).unwrap().unwrap();
        for _ in 0..2000 {
            rustix::fs::mkdirat(&folder, "d", Mode::RWXU).unwrap();
            folder = open_folder(&folder, Path::new("d")).unwrap().unwrap();
        }
        remove_tree(&top).unwrap();
        assert!(!top.exists());
    }

    #[test]
    fn a_link_in_place_of_the_folder_is_not_followed() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("kept"), "x").unwrap();
        let parent = tempfile::tempdir().unwrap();
        let top = parent.path().join("top");
        std::os::unix::fs::symlink(outside.path(), &top).unwrap();
        remove_tree(&top).unwrap_err();
        assert!(outside.path().join("kept").exists());
    }
}
