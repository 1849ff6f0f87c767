//! A directory that is not left: whatever is done in it begins at its descriptor, and goes one folder
//! at a time without following links.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Read},
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

use rustix::{
    fs::{AtFlags, Mode, OFlags, Timespec, Timestamps, fchmod, futimens, mkdirat, openat, statat},
    io::Errno,
};

use super::super::{
    again,
    sparse::Sparse,
    temporary::{Place, Temporary},
};

/// Size of a read.
const CHUNK: usize = 256 * 1024;
/// Most directories that are made.
const FOLDERS: usize = 1_000_000;
/// Most bytes that are kept of directories until all is in them, and what one costs besides its name.
const LATER: usize = 64 << 20;
const EACH: usize = 64;
/// Opens a folder and nothing else.
const FOLDER: OFlags = OFlags::DIRECTORY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Why an entry is not there.
#[derive(Debug)]
pub(super) enum Miss {
    /// It is the directory itself.
    Top,
    /// Left out, for this reason.
    Skip(&'static str),
    /// The archive cannot be read on.
    Archive(io::Error),
    /// Nothing more can be written.
    Stop(io::Error),
}

impl From<Errno> for Miss {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::NOSPC | Errno::DQUOT => Self::Stop(errno.into()),
            Errno::LOOP | Errno::NOTDIR => Self::Skip("LINK_OUTSIDE"),
            Errno::FBIG => Self::Skip("TOO_LARGE"),
            _ => Self::Skip("WRITE_FAILED"),
        }
    }
}

/// The directory, and the folder in it that was used last.
pub(super) struct Inside {
    top: OwnedFd,
    last: Option<(Vec<Vec<u8>>, OwnedFd)>,
    /// Folders that were made.
    made: usize,
    /// Folders whose mode and time are set when all is in them.
    later: Vec<Later>,
    /// What these come to, in bytes.
    later_bytes: usize,
}

/// A folder, and its mode and time.
struct Later {
    path: Vec<u8>,
    levels: usize,
    mode: u32,
    time: u64,
}

impl Inside {
    pub(super) fn new(top: &Path) -> Result<Self, Errno> {
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self {
            top: rustix::fs::open(top, flags, Mode::empty())?,
            last: None,
            made: 0,
            later: Vec::new(),
            later_bytes: 0,
        })
    }

    /// The folder with these names, made where it is not there.
    fn open(&mut self, folders: &[Vec<u8>]) -> Result<&OwnedFd, Miss> {
        let is_last = self.last.as_ref().is_some_and(|(last, _)| last == folders);
        if !is_last {
            let mut folder = self.top.try_clone().map_err(|_| Errno::MFILE)?;
            for name in folders {
                folder = self.enter(&folder, name)?;
            }
            self.last = Some((folders.to_vec(), folder));
        }
        Ok(self.last.as_ref().map_or(&self.top, |(_, folder)| folder))
    }

    pub(super) fn folder(&mut self, parts: &[Vec<u8>], mode: u32, time: u64) -> Result<(), Miss> {
        self.open(parts)?;
        let path = parts.join(&b'/');
        self.later_bytes += path.len() + EACH;
        if self.later_bytes > LATER {
            // It is there, as a new one is.
            return Err(Miss::Skip("LIMIT"));
        }
        self.later.push(Later {
            path,
            levels: parts.len(),
            mode,
            time,
        });
        Ok(())
    }

    fn enter(&mut self, folder: &OwnedFd, name: &[u8]) -> Result<OwnedFd, Miss> {
        match openat(folder, os(name), FOLDER, Mode::empty()) {
            Err(Errno::NOENT) => {}
            found => return Ok(found?),
        }
        if self.made >= FOLDERS {
            return Err(Miss::Skip("LIMIT"));
        }
        match mkdirat(folder, os(name), Mode::from_raw_mode(0o755)) {
            Ok(()) => self.made += 1,
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
        Ok(openat(folder, os(name), FOLDER, Mode::empty())?)
    }

    /// Writes a file, in the place of one that is there; how many bytes it has.
    pub(super) fn file(
        &mut self,
        folders: &[Vec<u8>],
        name: &[u8],
        (mode, time): (u32, u64),
        content: &mut impl Read,
    ) -> Result<u64, Miss> {
        let folder = self.open(folders)?;
        let name = Path::new(os(name));
        let temporary = Temporary::new(Place::inside(folder.as_fd(), name))?;
        let bytes = copy(content, &temporary.file)?;
        fchmod(&temporary.file, Mode::from_raw_mode(mode))?;
        futimens(&temporary.file, &at(time))?;
        temporary.take_name()?;
        Ok(bytes)
    }

    pub(super) fn link(
        &mut self,
        folders: &[Vec<u8>],
        name: &[u8],
        target: &[u8],
    ) -> Result<(), Miss> {
        let folder = self.open(folders)?;
        let place = Place::inside(folder.as_fd(), Path::new(os(name)));
        Ok(place.become_symlink(target)?)
    }

    /// Another name for a file that is inside.
    pub(super) fn hard_link(
        &mut self,
        folders: &[Vec<u8>],
        name: &[u8],
        target: &[Vec<u8>],
    ) -> Result<(), Miss> {
        let outside = Miss::Skip("LINK_OUTSIDE");
        let Some((last, way)) = target.split_last() else {
            return Err(outside);
        };
        let from = self.open(way)?.try_clone().map_err(Miss::Stop)?;
        let found = statat(&from, os(last), AtFlags::SYMLINK_NOFOLLOW)?;
        if !rustix::fs::FileType::from_raw_mode(found.st_mode).is_file() {
            return Err(outside);
        }
        let folder = self.open(folders)?;
        let place = Place::inside(folder.as_fd(), Path::new(os(name)));
        Ok(place.become_link(&from, Path::new(os(last)))?)
    }

    /// Gives folders the modes and times that they are to have, the deepest first.
    pub(super) fn finish(&mut self) {
        let mut later = std::mem::take(&mut self.later);
        later.sort_by_key(|folder| std::cmp::Reverse(folder.levels));
        for Later {
            path, mode, time, ..
        } in later
        {
            let parts: Vec<_> = path
                .split(|byte| *byte == b'/')
                .map(<[u8]>::to_vec)
                .collect();
            if let Ok(folder) = self.open(&parts) {
                // Somebody may have changed it meanwhile; it is there.
                let _ = fchmod(folder, Mode::from_raw_mode(mode));
                let _ = futimens(folder, &at(time));
            }
        }
    }
}

fn copy(content: &mut impl Read, file: &File) -> Result<u64, Miss> {
    let written = |error: io::Error| {
        Errno::from_io_error(&error).map_or(Miss::Skip("WRITE_FAILED"), Miss::from)
    };
    let mut chunk = vec![0; CHUNK];
    let mut sparse = Sparse::new(file);
    loop {
        match again(|| content.read(&mut chunk)).map_err(Miss::Archive)? {
            0 => return sparse.finish().map_err(written),
            size => sparse.put(&chunk[..size]).map_err(written)?,
        }
    }
}

fn at(time: u64) -> Timestamps {
    let time = Timespec {
        tv_sec: i64::try_from(time).unwrap_or_default(),
        tv_nsec: 0,
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}

fn os(name: &[u8]) -> &OsStr {
    OsStr::from_bytes(name)
}
