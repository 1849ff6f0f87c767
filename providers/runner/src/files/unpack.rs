//! Unpacks a tar archive below a directory, never out of it: each folder on the way to an entry is
//! opened by itself, and a link is none.

mod entries;
mod extensions;
mod holes;
mod inside;
mod name;
mod plain;

use std::{
    fs,
    io::{self, BufReader, Read},
};

use rustix::io::Errno;
use sandgate_runner_proto::v1::{Unpack, file_answer};
use tar::EntryType;

use self::{
    entries::{Entries, Entry},
    inside::{Inside, Miss},
    name::{link_stays, parts},
    plain::Plain,
};
use super::{
    Answer, Trouble,
    facts::{answer, path},
    line::Line,
    skip::Summary,
    source::Source,
};

/// Most entries, most bytes of content, and of a name: what is past them is left out.
const ENTRIES: u64 = 1_000_000;
const BYTES: u64 = 64 << 30;
const NAME: usize = 4096;

/// Answers Unpack.
pub(super) fn unpack(line: &mut Line, request: &Unpack) -> Answer {
    let top = path(&request.path)?;
    match fs::create_dir_all(&top) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(Errno::NOTDIR.into());
        }
        made => made?,
    }
    let mut source = BufReader::with_capacity(256 * 1024, Source::of(line, &request.source)?);
    let summary = {
        let plain = Plain::new(&mut source, request.compression()).map_err(Trouble::Line)?;
        let mut unpacker = Unpacker {
            inside: Inside::new(&top)?,
            summary: Summary::default(),
        };
        let done = unpacker.all(plain);
        // Also of what came before a fault: it stays.
        unpacker.inside.finish();
        done?;
        unpacker.summary
    };
    // What comes behind an archive's end is no more of it.
    io::copy(&mut source, &mut io::sink()).map_err(Trouble::Line)?;
    Ok(answer(file_answer::Body::Summary(summary.0)))
}

struct Unpacker {
    inside: Inside,
    summary: Summary,
}

impl Unpacker {
    fn all(&mut self, source: Plain<'_>) -> Result<(), Trouble> {
        let mut entries = Entries::new(source);
        while let Some(mut entry) = entries.next().map_err(|error| invalid(&error))? {
            match self.entry(&mut entries, &mut entry) {
                Ok(bytes) => self.summary.took(bytes),
                Err(Miss::Skip(reason)) => self.summary.skip(&entry.name, reason),
                Err(Miss::Top) => {}
                Err(Miss::Archive(error)) => return Err(invalid(&error)),
                Err(Miss::Stop(error)) => return Err(error.into()),
            }
        }
        let whole = entries.into_source().finish();
        whole.map_err(|error| invalid(&error))
    }

    /// Makes what an entry says; bytes of its content.
    fn entry<R: Read>(&mut self, entries: &mut Entries<R>, entry: &mut Entry) -> Result<u64, Miss> {
        if entry.name.len() > NAME || entry.link.len() > NAME {
            return Err(Miss::Skip("LIMIT"));
        }
        let parts = parts(&entry.name).ok_or(Miss::Skip("OUTSIDE"))?;
        let mode = entry.header.mode().unwrap_or(0o644) & 0o1777;
        let time = entry.header.mtime().unwrap_or_default();
        let seen = &self.summary.0;
        if seen.entries >= ENTRIES || seen.bytes.saturating_add(entry.size) > BYTES {
            return Err(Miss::Skip("LIMIT"));
        }
        let (last, folders) = parts.split_last().ok_or(Miss::Top)?;
        match entry.kind {
            EntryType::Directory => self.inside.folder(&parts, mode, time)?,
            EntryType::Symlink => {
                if !link_stays(folders.len(), &entry.link) {
                    return Err(Miss::Skip("LINK_OUTSIDE"));
                }
                self.inside.link(folders, last, &entry.link)?;
            }
            EntryType::Link => {
                let target = name::parts(&entry.link).ok_or(Miss::Skip("LINK_OUTSIDE"))?;
                self.inside.hard_link(folders, last, &target)?;
            }
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse
                if !entry.is_listed =>
            {
                let facts = (mode, time);
                let mut content = entries.content(entry);
                return self.inside.file(folders, last, facts, &mut content);
            }
            _ => return Err(Miss::Skip("NOT_REGULAR")),
        }
        Ok(0)
    }
}

/// What is wrong with the archive itself, or with the connection that it comes on.
fn invalid(error: &io::Error) -> Trouble {
    Trouble::refused(
        "ARCHIVE_INVALID",
        &format!(
            "this is no tar archive, plain or with gzip or Zstandard, or not all of one: {error}"
        ),
    )
}
