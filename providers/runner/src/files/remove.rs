//! Removes a directory with all in it, however deep it goes: by descriptors, of which only some are
//! open at once, so that no link is followed and no path grows too long.

use std::{
    ffi::{CStr, CString},
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{AtFlags, CWD, Dir, Mode, OFlags, openat, renameat, unlinkat},
    io::Errno,
};

/// Levels that are gone down; what is deeper is moved up to the top first.
const LEVELS: usize = 64;
/// Names that are read ahead.
const NAMES: usize = 1024;

/// Removes it.
pub(super) fn remove_all(path: &Path) -> Result<(), Errno> {
    match unlinkat(CWD, path, AtFlags::REMOVEDIR) {
        Err(Errno::NOTEMPTY | Errno::EXIST) => {}
        done => return gone(done),
    }
    let Some(top) = open_if_there(CWD, path)? else {
        return Ok(());
    };
    let mut removal = Removal {
        top: &top,
        moved: 0,
    };
    removal.empty(&top, 0)?;
    gone(unlinkat(CWD, path, AtFlags::REMOVEDIR))
}

/// What somebody else has removed meanwhile is gone, too.
fn gone(done: Result<(), Errno>) -> Result<(), Errno> {
    match done {
        Err(Errno::NOENT) => Ok(()),
        done => done,
    }
}

struct Removal<'a> {
    top: &'a OwnedFd,
    /// Directories that were moved to the top, ever.
    moved: u64,
}

impl Removal<'_> {
    fn empty(&mut self, folder: &OwnedFd, level: usize) -> Result<(), Errno> {
        loop {
            let names = match names(folder) {
                Err(Errno::NOENT) => return Ok(()),
                names => names?,
            };
            if names.is_empty() {
                return Ok(());
            }
            for name in names {
                self.remove(folder, &name, level)?;
            }
        }
    }

    fn remove(&mut self, folder: &OwnedFd, name: &CStr, level: usize) -> Result<(), Errno> {
        match unlinkat(folder, name, AtFlags::empty()) {
            Err(Errno::ISDIR) => {}
            done => return gone(done),
        }
        match unlinkat(folder, name, AtFlags::REMOVEDIR) {
            Err(Errno::NOTEMPTY | Errno::EXIST) => {}
            done => return gone(done),
        }
        if level >= LEVELS {
            return self.move_up(folder, name);
        }
        let Some(inner) = open_if_there(folder.as_fd(), name)? else {
            return Ok(());
        };
        self.empty(&inner, level + 1)?;
        gone(unlinkat(folder, name, AtFlags::REMOVEDIR))
    }

    fn move_up(&mut self, folder: &OwnedFd, name: &CStr) -> Result<(), Errno> {
        loop {
            self.moved += 1;
            let new_name = format!(".sandgate-removed-{}", self.moved);
            match renameat(folder, name, self.top, new_name) {
                // Somebody else's.
                Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => {}
                done => return gone(done),
            }
        }
    }
}

fn open_if_there(
    folder: BorrowedFd<'_>,
    name: impl rustix::path::Arg,
) -> Result<Option<OwnedFd>, Errno> {
    match open(folder, name) {
        Err(Errno::NOENT) => Ok(None),
        opened => opened.map(Some),
    }
}

fn open(folder: BorrowedFd<'_>, name: impl rustix::path::Arg) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(folder, name, flags, Mode::empty())
}

/// Some names in a directory.
fn names(folder: &OwnedFd) -> Result<Vec<CString>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            names.push(name.to_owned());
        }
        if names.len() >= NAMES {
            break;
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    /// A directory within a directory, that many times.
    fn chain(top: &Path, levels: usize) {
        let mut folder = open(CWD, top).unwrap();
        for _ in 0..levels {
            rustix::fs::mkdirat(&folder, "d", Mode::RWXU).unwrap();
            folder = open(folder.as_fd(), "d").unwrap();
        }
        rustix::fs::symlinkat("/", &folder, "link").unwrap();
    }

    #[test]
    fn what_is_deep_and_what_is_wide_is_removed() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("kept"), b"").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().join("top");
        fs::create_dir(&top).unwrap();
        chain(&top, 2000);
        for number in 0..1100 {
            fs::write(top.join(number.to_string()), b"").unwrap();
            if number % 100 == 0 {
                fs::create_dir(top.join(format!("d{number}"))).unwrap();
            }
        }
        fs::create_dir(top.join("second")).unwrap();
        chain(&top.join("second"), 200);
        symlink(outside.path(), top.join("outside")).unwrap();
        remove_all(&top).unwrap();
        assert!(fs::symlink_metadata(&top).is_err());
        assert!(outside.path().join("kept").exists());
    }

    #[test]
    fn those_who_remove_the_same_all_succeed() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().join("top");
        for round in 0..20 {
            for number in 0..200 {
                fs::create_dir_all(top.join(format!("{}/{number}/d", number % 7))).unwrap();
            }
            chain(&top, 80);
            let remove = || remove_all(&top);
            let done = std::thread::scope(|scope| {
                let all = [(); 4].map(|()| scope.spawn(remove));
                all.map(|one| one.join().unwrap())
            });
            assert!(done.iter().all(|done| *done == Ok(())), "{round}: {done:?}");
            assert!(fs::symlink_metadata(&top).is_err());
        }
    }
}
