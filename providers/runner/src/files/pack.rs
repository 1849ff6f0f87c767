//! Packs files into a tar archive, as they are read.

mod entry;
mod output;

use std::{
    fs::{self, Metadata},
    io::{self, Write},
    os::unix::ffi::OsStrExt as _,
    path::{Component, Path, PathBuf},
};

use sandgate_runner_proto::v1::{Pack, file_answer};
use tar::{Builder, EntryType};

use self::{
    entry::{Content, append, header, mark_changed},
    output::{Compressor, Frames},
};
use super::{
    Answer, Trouble,
    facts::{answer, etag, path},
    line::Line,
    read::open,
    skip::Summary,
    walk::{Unread, Walk},
};

/// Levels of directories: more than fit into a path, so that what is too deep is told as not readable.
const LEVELS: u32 = 4096;

/// Answers Pack.
pub(super) fn pack(line: &mut Line, request: &Pack) -> Answer {
    let tops = tops(&request.paths)?;
    let base = base(&tops);
    let mut packer = Packer {
        builder: Builder::new(Compressor::new(Frames::new(line), request.compression())?),
        base,
        excludes: request.excludes.clone(),
        bytes_left: request.max_bytes.unwrap_or(u64::MAX),
        entries_left: request.max_entries.unwrap_or(u64::MAX),
        summary: Summary::default(),
    };
    let packed = tops.iter().try_for_each(|top| packer.tree(top));
    let summary = packer.summary;
    match packed.and_then(|()| packer.builder.into_inner()?.finish()) {
        Ok(()) => Ok(answer(file_answer::Body::Summary(summary.0))),
        // Files are looked at one by one: only the connection is left to fail.
        Err(error) => Err(Trouble::Line(error)),
    }
}

/// What to pack, each with what it is; all have to be there.
fn tops(paths: &[String]) -> Result<Vec<PathBuf>, Trouble> {
    let mut tops = Vec::new();
    for text in paths {
        let top = plain(path(text)?)?;
        fs::symlink_metadata(&top)?;
        tops.push(top);
    }
    Ok(tops)
}

/// The same place without steps up, which would be names in the archive. A link as its last part stays
/// one.
fn plain(path: PathBuf) -> Result<PathBuf, Trouble> {
    if !path.components().any(|part| part == Component::ParentDir) {
        return Ok(path);
    }
    match (path.parent(), path.file_name()) {
        (Some(above), Some(name)) => Ok(fs::canonicalize(above)?.join(name)),
        _ => Ok(fs::canonicalize(path)?),
    }
}

/// The deepest directory that holds all: one that is packed holds itself.
fn base(tops: &[PathBuf]) -> PathBuf {
    let folder = |top: &PathBuf| {
        let is_folder = fs::symlink_metadata(top).is_ok_and(|found| found.is_dir());
        let above = top.parent().filter(|_| !is_folder);
        above.unwrap_or(top).to_owned()
    };
    let folders = tops.iter().map(folder);
    let common = |one: PathBuf, other: PathBuf| {
        let same = one.components().zip(other.components());
        let same = same.take_while(|(one, other)| one == other);
        same.map(|(part, _)| part).collect()
    };
    folders.reduce(common).unwrap_or_default()
}

struct Packer<W: Write> {
    builder: Builder<W>,
    base: PathBuf,
    excludes: Vec<String>,
    bytes_left: u64,
    entries_left: u64,
    summary: Summary,
}

impl<W: Write> Packer<W> {
    /// Packs one of the paths that were asked for. Fails with the connection only.
    fn tree(&mut self, top: &Path) -> io::Result<()> {
        let name = |place: &Path| {
            let inside = place.strip_prefix(&self.base).unwrap_or(place);
            inside.as_os_str().as_bytes().to_vec()
        };
        let own = name(top);
        if !own.is_empty() && !self.entry(&own, top)? {
            return Ok(());
        }
        if !fs::symlink_metadata(top).is_ok_and(|found| found.is_dir()) {
            return Ok(());
        }
        let mut walk = match Walk::all(top.to_owned(), LEVELS) {
            Ok(walk) => walk,
            Err(_) => {
                self.summary.skip(&own, "NOT_READABLE");
                return Ok(());
            }
        };
        while let Some(step) = walk.next() {
            let inside = |path: &[u8]| match own.is_empty() {
                true => path.to_vec(),
                false => [&own, &b"/"[..], path].concat(),
            };
            match step {
                Ok(path) => {
                    if !self.entry(&inside(&path), &walk.place(&path))? {
                        walk.leave_out(&path);
                    }
                }
                Err(Unread(path)) => self.summary.skip(&inside(&path), "NOT_READABLE"),
            }
        }
        Ok(())
    }

    /// Packs one name; false: it is left out, with all below it.
    fn entry(&mut self, name: &[u8], place: &Path) -> io::Result<bool> {
        if self.is_excluded(name) {
            return Ok(false);
        }
        let Ok(found) = fs::symlink_metadata(place) else {
            self.summary.skip(name, "NOT_READABLE");
            return Ok(false);
        };
        let size = if found.is_file() { found.len() } else { 0 };
        if self.entries_left == 0 || size > self.bytes_left {
            self.summary.skip(name, "LIMIT");
            return Ok(false);
        }
        let kind = found.file_type();
        let done = if kind.is_dir() {
            self.plain(name, &found, EntryType::Directory)?
        } else if kind.is_symlink() {
            self.link(name, place, &found)?
        } else if kind.is_file() {
            self.file(name, place, &found)?
        } else {
            self.summary.skip(name, "NOT_REGULAR");
            false
        };
        if done {
            self.entries_left -= 1;
            self.bytes_left -= size;
            self.summary.took(size);
        }
        Ok(done)
    }

    fn is_excluded(&self, name: &[u8]) -> bool {
        let last = name.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        self.excludes.iter().any(|pattern| {
            let of = if pattern.contains('/') { name } else { last };
            fast_glob::glob_match(pattern.as_bytes(), of)
        })
    }

    fn plain(&mut self, name: &[u8], found: &Metadata, kind: EntryType) -> io::Result<bool> {
        let header = header(found, kind);
        append(&mut self.builder, header, (name, b""), io::empty())?;
        Ok(true)
    }

    fn link(&mut self, name: &[u8], place: &Path, found: &Metadata) -> io::Result<bool> {
        let Ok(target) = fs::read_link(place) else {
            self.summary.skip(name, "NOT_READABLE");
            return Ok(false);
        };
        let header = header(found, EntryType::Symlink);
        let target = target.as_os_str().as_bytes();
        append(&mut self.builder, header, (name, target), io::empty())?;
        Ok(true)
    }

    fn file(&mut self, name: &[u8], place: &Path, found: &Metadata) -> io::Result<bool> {
        let Ok(file) = open(place) else {
            self.summary.skip(name, "NOT_READABLE");
            return Ok(false);
        };
        let mut header = header(found, EntryType::Regular);
        header.set_size(found.len());
        let mut content = Content {
            file,
            left: found.len(),
            is_whole: true,
        };
        append(&mut self.builder, header, (name, b""), &mut content)?;
        let now = content.file.metadata();
        let is_same = now.is_ok_and(|now| etag(&now) == etag(found));
        if !content.is_whole || !is_same {
            mark_changed(&mut self.builder)?;
            self.summary.skip(name, "CHANGED");
        }
        Ok(true)
    }
}
