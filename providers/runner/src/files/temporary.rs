//! A file that is gone again unless it takes a name: it has none before, where the file system can do
//! that, so that nothing is left of a process that is killed.

use std::{
    fs::{File, Metadata, Permissions},
    io,
    os::{
        fd::{AsRawFd as _, BorrowedFd, OwnedFd},
        unix::{
            ffi::OsStrExt as _,
            fs::{MetadataExt as _, PermissionsExt as _, fchown},
        },
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{
        AtFlags, CWD, Mode, OFlags, RenameFlags, linkat, openat, renameat, renameat_with, statat,
        symlinkat, unlinkat,
    },
    io::Errno,
    rand::{GetRandomFlags, getrandom},
};

/// Of a new file.
const MODE: u32 = 0o644;
/// Of a file that nobody else is to see yet.
const OWN: Mode = Mode::RUSR.union(Mode::WUSR);
/// What this process has open, by number.
const OPEN: &str = "/proc/self/fd";

/// A place for a name: a directory that is open, and the way from there.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    folder: BorrowedFd<'a>,
    path: &'a Path,
}

impl<'a> Place<'a> {
    /// A path by itself.
    pub(super) fn path(path: &'a Path) -> Self {
        Self { folder: CWD, path }
    }

    /// A name right in a directory.
    pub(super) fn inside(folder: BorrowedFd<'a>, name: &'a Path) -> Self {
        Self { folder, path: name }
    }

    fn parent(&self) -> Result<&'a Path, Errno> {
        let parent = self.path.parent().ok_or(Errno::ISDIR)?;
        Ok(match parent.as_os_str().is_empty() {
            true => Path::new("."),
            false => parent,
        })
    }

    /// Another name beside it.
    fn beside(&self) -> Result<PathBuf, Errno> {
        let mut random = [0; 8];
        getrandom(&mut random, GetRandomFlags::empty())?;
        let name = format!(".sandgate-{:016x}", u64::from_ne_bytes(random));
        Ok(self.parent()?.join(name))
    }

    /// Makes a symbolic link, in the place of what is there; a directory stays.
    pub(super) fn become_symlink(&self, target: &[u8]) -> Result<(), Errno> {
        let target = std::ffi::OsStr::from_bytes(target);
        self.become_new(|path| symlinkat(target, self.folder, path))
    }

    /// Becomes another name of a file, likewise.
    pub(super) fn become_link(&self, folder: &OwnedFd, name: &Path) -> Result<(), Errno> {
        self.become_new(|path| linkat(folder, name, self.folder, path, AtFlags::empty()))
    }

    /// Makes something under a new name, in the place of what is there.
    fn become_new(&self, make: impl Fn(&Path) -> Result<(), Errno>) -> Result<(), Errno> {
        match make(self.path) {
            Err(Errno::EXIST) => {}
            made => return made,
        }
        let beside = self.beside()?;
        make(&beside)?;
        let renamed = renameat(self.folder, &beside, self.folder, self.path);
        // It is still there, too, where both were names of one file already.
        match unlinkat(self.folder, &beside, AtFlags::empty()) {
            Err(Errno::NOENT) | Ok(()) => renamed,
            Err(errno) => renamed.and(Err(errno)),
        }
    }
}

/// A file that is being written.
pub(super) struct Temporary<'a> {
    pub(super) file: File,
    place: Place<'a>,
    /// Its name until it takes its own; none: it has none.
    beside: Option<PathBuf>,
}

impl<'a> Temporary<'a> {
    /// For this place, readable by its owner alone.
    pub(super) fn new(place: Place<'a>) -> Result<Self, Errno> {
        let flags = OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC;
        // Without this folder it could never take a name.
        if Path::new(OPEN).exists()
            && let Ok(file) = openat(place.folder, place.parent()?, flags, OWN)
        {
            return Ok(Self {
                file: file.into(),
                place,
                beside: None,
            });
        }
        Self::named(place)
    }

    /// With a name from the beginning: every file system can do that.
    fn named(place: Place<'a>) -> Result<Self, Errno> {
        let beside = place.beside()?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = openat(place.folder, &beside, flags, OWN)?;
        Ok(Self {
            file: file.into(),
            place,
            beside: Some(beside),
        })
    }

    /// Takes over owner and permissions of the old file, as far as it may.
    pub(super) fn become_like(&self, old: Option<&Metadata>, mode: Option<u32>) -> io::Result<()> {
        if let Some(old) = old {
            // Only root may give files away.
            let _ = fchown(&self.file, Some(old.uid()), Some(old.gid()));
        }
        let mode = mode.or_else(|| Some(old?.mode() & 0o7777)).unwrap_or(MODE);
        self.file.set_permissions(Permissions::from_mode(mode))
    }

    /// Takes its name, in the place of a file that has it.
    pub(super) fn take_name(mut self) -> Result<(), Errno> {
        let Place { folder, path } = self.place;
        let Some(beside) = self.beside.take() else {
            return self.place.become_new(|path| self.link(path));
        };
        let renamed = renameat(folder, &beside, folder, path);
        self.beside = renamed.is_err().then_some(beside);
        renamed
    }

    /// Takes its name, unless that is taken.
    pub(super) fn take_new_name(mut self) -> Result<(), Errno> {
        let Place { folder, path } = self.place;
        let Some(beside) = self.beside.take() else {
            return self.link(path);
        };
        let renamed = rename_new((folder, &beside), (folder, path));
        self.beside = renamed.is_err().then_some(beside);
        renamed
    }

    fn link(&self, path: &Path) -> Result<(), Errno> {
        let open = format!("{OPEN}/{}", self.file.as_raw_fd());
        linkat(CWD, open, self.place.folder, path, AtFlags::SYMLINK_FOLLOW)
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if let Some(beside) = &self.beside {
            // Its folder may be gone, too.
            let _ = unlinkat(self.place.folder, beside, AtFlags::empty());
        }
    }
}

/// Renames, unless the new name is taken.
pub(super) fn rename_new(
    (from, name): (BorrowedFd<'_>, &Path),
    (to, new_name): (BorrowedFd<'_>, &Path),
) -> Result<(), Errno> {
    match renameat_with(from, name, to, new_name, RenameFlags::NOREPLACE) {
        // A file system that cannot do it at once.
        Err(Errno::INVAL | Errno::NOSYS) => match statat(to, new_name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Err(Errno::EXIST),
            Err(_) => renameat(from, name, to, new_name),
        },
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _};

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let names = fs::read_dir(folder).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn with_a_name_and_without_it_comes_to_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for seen in [0, 1] {
            let make = |place| match seen {
                0 => Temporary::new(place),
                _ => Temporary::named(place),
            };
            let mut temporary = make(Place::path(&path)).unwrap();
            temporary.file.write_all(b"one").unwrap();
            assert_eq!(names(folder.path()).len(), seen);
            temporary.take_new_name().unwrap();
            let late = make(Place::path(&path)).unwrap().take_new_name();
            assert_eq!(late, Err(Errno::EXIST));
            let mut temporary = make(Place::path(&path)).unwrap();
            temporary.file.write_all(b"two").unwrap();
            temporary.take_name().unwrap();
            drop(make(Place::path(&path)).unwrap());
            assert_eq!(fs::read(&path).unwrap(), b"two");
            assert_eq!(names(folder.path()), ["file"]);
            fs::remove_file(&path).unwrap();
        }
    }
}
