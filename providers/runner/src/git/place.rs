//! Where a clone goes: made under another name, so that a half one is never taken for it; what is whole
//! gets its name at once or, where there is an empty folder already, is moved into it.

use std::{
    ffi::OsStr,
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    thread::sleep,
    time::Duration,
};

use rustix::{
    fs::{CWD, RenameFlags, renameat_with},
    io::Errno,
    rand::{GetRandomFlags, getrandom},
};

/// How often it is tried to make it beside others, and to remove what was made; the time between.
const TRIES: usize = 20;
const PAUSE: Duration = Duration::from_millis(50);

/// A place for a clone.
#[derive(Debug)]
pub(super) struct Place {
    /// Where it is to be in the end.
    pub(super) target: PathBuf,
    /// Where it is made.
    pub(super) work: PathBuf,
    /// Folders above it that were made for it, the outermost first.
    made: Vec<PathBuf>,
    /// It is there already and stays, with its rights and whoever is in it: the work lies in it.
    is_inside: bool,
}

impl Place {
    /// Makes it; what is there already has to be an empty folder.
    pub(super) fn new(path: &Path) -> io::Result<Self> {
        // A name that ends in `..` or `/` is that of something that is there.
        let path = fs::canonicalize(".")?.join(path);
        match fs::metadata(&path) {
            Ok(_) => {
                if fs::read_dir(&path)?.next().is_some() {
                    return Err(Errno::NOTEMPTY.into());
                }
                let target = fs::canonicalize(&path)?;
                return Ok(Self {
                    work: work_in(&target)?,
                    target,
                    made: Vec::new(),
                    is_inside: true,
                });
            }
            Err(error) if is_missing(&error) => {}
            Err(error) => return Err(error),
        }
        // A link that leads nowhere has its name taken.
        if fs::symlink_metadata(&path).is_ok() {
            return Err(Errno::EXIST.into());
        }
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Errno::NOENT.into());
        };
        let mut place = Self {
            target: PathBuf::new(),
            work: PathBuf::new(),
            made: Vec::new(),
            is_inside: false,
        };
        place.make(folder, name).inspect_err(|_| place.undo())?;
        Ok(place)
    }

    fn make(&mut self, folder: &Path, name: &OsStr) -> io::Result<()> {
        let mut tries = 1..TRIES;
        loop {
            match self.make_once(folder, name) {
                // Another that had made a folder on the way has failed, and taken it away again.
                Err(error) if is_missing(&error) && tries.next().is_some() => {}
                made => return made,
            }
        }
    }

    fn make_once(&mut self, folder: &Path, name: &OsStr) -> io::Result<()> {
        let missing: Vec<_> = folder
            .ancestors()
            .take_while(|folder| fs::symlink_metadata(folder).is_err())
            .collect();
        for folder in missing.into_iter().rev() {
            match DirBuilder::new().mode(0o755).create(folder) {
                Ok(()) => self.made.push(folder.to_owned()),
                // Another has made it meanwhile, whose it is to take away.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    if !fs::metadata(folder)?.is_dir() {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        let folder = fs::canonicalize(folder)?;
        self.target = folder.join(name);
        self.work = work_in(&folder)?;
        Ok(())
    }

    /// Whether what is made is moved into a folder that was there.
    pub(super) fn is_inside(&self) -> bool {
        self.is_inside
    }

    /// The clone is whole: gives it its name.
    pub(super) fn finish(&self) -> io::Result<()> {
        match self.is_inside {
            true => self.move_up(),
            false => renamed(&self.work, &self.target),
        }
    }

    /// Moves all that was made out of the work's folder, `.git` last: that makes it a repository.
    fn move_up(&self) -> io::Result<()> {
        if fs::read_dir(&self.target)?.count() > 1 {
            return Err(Errno::NOTEMPTY.into());
        }
        let names = fs::read_dir(&self.work)?.map(|entry| entry.map(|entry| entry.file_name()));
        let mut names = names.collect::<io::Result<Vec<_>>>()?;
        names.sort_by_key(|name| name == ".git");
        for (at, name) in names.iter().enumerate() {
            let moved = renamed(&self.work.join(name), &self.target.join(name));
            if let Err(error) = moved {
                for name in &names[..at] {
                    let _ = renamed(&self.target.join(name), &self.work.join(name));
                }
                return Err(error);
            }
        }
        fs::remove_dir(&self.work)
    }

    /// Takes away all that was made, as well as that can be done.
    pub(super) fn undo(&self) {
        for _ in 0..TRIES {
            if self.work.as_os_str().is_empty() {
                break;
            }
            match fs::remove_dir_all(&self.work) {
                // One who was killed may still have made something.
                Err(error) if !is_missing(&error) => sleep(PAUSE),
                _ => break,
            }
        }
        for folder in self.made.iter().rev() {
            let _ = fs::remove_dir(folder);
        }
    }
}

fn is_missing(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

/// Makes a folder to work in.
fn work_in(folder: &Path) -> io::Result<PathBuf> {
    let mut random = [0; 8];
    getrandom(&mut random, GetRandomFlags::empty())?;
    let work = folder.join(format!(".sandgate-{:016x}", u64::from_ne_bytes(random)));
    DirBuilder::new().mode(0o755).create(&work)?;
    Ok(work)
}

/// Gives something another name, which nothing has.
fn renamed(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // A file system that cannot do it at once; one never takes the place of a full folder.
        Err(Errno::INVAL | Errno::NOSYS) => match fs::symlink_metadata(to) {
            Ok(_) => Err(Errno::EXIST.into()),
            Err(_) => fs::rename(from, to),
        },
        renamed => Ok(renamed?),
    }
}

/// Removes all that is in a folder that was empty before.
pub(super) fn empty(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
