//! Where a channel's bytes lie on disk: a file that has no name, or one that has.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

/// Bytes at places.
pub(crate) trait Store {
    /// Writes some of the bytes, at least one; says how many.
    fn write_at(&mut self, bytes: &[u8], place: u64) -> io::Result<usize>;
    /// Reads all the bytes that fit.
    fn read_at(&self, bytes: &mut [u8], place: u64) -> io::Result<()>;
    /// Lets go of everything.
    fn clear(&mut self);
}

/// A file, made when the first byte comes.
#[derive(Debug)]
pub(crate) struct FileStore {
    place: Place,
    file: Option<File>,
}

#[derive(Debug)]
enum Place {
    /// Unlinked, in this folder.
    Unnamed(PathBuf),
    /// This file.
    Named(PathBuf),
}

impl FileStore {
    /// A file without a name in this folder: nobody can open or change it.
    pub(crate) fn unnamed(folder: &Path) -> Self {
        Self {
            place: Place::Unnamed(folder.to_owned()),
            file: None,
        }
    }

    /// This file, for others to read; it stays.
    pub(crate) fn named(path: PathBuf) -> Self {
        Self {
            place: Place::Named(path),
            file: None,
        }
    }

    fn open(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).mode(0o600);
        match &self.place {
            Place::Named(path) => options.create(true).truncate(true).open(path),
            Place::Unnamed(folder) => {
                let unnamed = options.clone().custom_flags(libc::O_TMPFILE).open(folder);
                unnamed.or_else(|error| match error.raw_os_error() {
                    Some(libc::EOPNOTSUPP | libc::EISDIR | libc::EINVAL) => {
                        unlinked(&options, folder)
                    }
                    _ => Err(error),
                })
            }
        }
    }
}

/// For file systems that cannot make files without a name.
fn unlinked(options: &OpenOptions, folder: &Path) -> io::Result<File> {
    let mut random = [0; 8];
    rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
    let path = folder.join(format!(".spool-{:016x}", u64::from_ne_bytes(random)));
    let file = options.clone().create_new(true).open(&path)?;
    fs::remove_file(path)?;
    Ok(file)
}

impl Store for FileStore {
    fn write_at(&mut self, bytes: &[u8], place: u64) -> io::Result<usize> {
        if self.file.is_none() {
            self.file = Some(self.open()?);
        }
        let file = self.file.as_ref().ok_or(io::ErrorKind::NotFound)?;
        file.write_at(bytes, place)
    }

    fn read_at(&self, bytes: &mut [u8], place: u64) -> io::Result<()> {
        let file = self.file.as_ref().ok_or(io::ErrorKind::NotFound)?;
        file.read_exact_at(bytes, place)
    }

    fn clear(&mut self) {
        self.file = None;
    }
}
