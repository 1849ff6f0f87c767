//! Entries of a tar archive, one after another. The `tar` crate knows what a header says; what is
//! between headers is read here, so that nothing in it is larger than a name may be, and a name with
//! a line break is one.

use std::{
    collections::VecDeque,
    io::{self, Read},
};

use tar::{EntryType, Header};

use super::{extensions::Extensions, holes};

/// Bytes of a header, and what content is filled up to.
pub(super) const BLOCK: u64 = 512;
/// Most bytes of what is said of an entry before it comes.
const TEXT: u64 = 1 << 20;

/// An archive that is read.
pub(super) struct Entries<R> {
    source: R,
    /// Bytes to the next header.
    left: u64,
    has_begun: bool,
}

/// An entry, before its content.
pub(super) struct Entry {
    pub(super) header: Header,
    pub(super) kind: EntryType,
    pub(super) name: Vec<u8>,
    pub(super) link: Vec<u8>,
    /// Bytes of the file that it becomes.
    pub(super) size: u64,
    /// Its content is a list of holes and what is between them.
    pub(super) is_listed: bool,
    parts: VecDeque<Part>,
}

/// Zeros that are not in the archive, and bytes that are.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Part {
    pub(super) zeros: u64,
    pub(super) bytes: u64,
}

impl<R: Read> Entries<R> {
    pub(super) const fn new(source: R) -> Self {
        Self {
            source,
            left: 0,
            has_begun: false,
        }
    }

    /// What comes behind the last one.
    pub(super) fn into_source(self) -> R {
        self.source
    }

    /// The next entry; none: the archive is over. Nothing at all is an archive of nothing.
    pub(super) fn next(&mut self) -> io::Result<Option<Entry>> {
        let mut extensions = Extensions::default();
        loop {
            self.skip()?;
            let Some(header) = self.header()? else {
                return match extensions.is_empty() {
                    true => Ok(None),
                    false => Err(bad("something is said of an entry that does not come")),
                };
            };
            let size = header.entry_size()?;
            match header.entry_type() {
                EntryType::GNULongName => extensions.name = Some(text(self.text(size)?)),
                EntryType::GNULongLink => extensions.link = Some(text(self.text(size)?)),
                EntryType::XHeader => extensions.read(&self.text(size)?)?,
                // It is said of all entries: git writes a commit so.
                EntryType::XGlobalHeader => drop(self.text(size)?),
                _ => return self.entry(header, extensions).map(Some),
            }
        }
    }

    /// The content of the entry that came last.
    pub(super) fn content<'a>(&'a mut self, entry: &'a mut Entry) -> impl Read + 'a {
        Content {
            entries: self,
            parts: &mut entry.parts,
        }
    }

    fn entry(&mut self, header: Header, extensions: Extensions) -> io::Result<Entry> {
        let name = extensions.name;
        let name = name.unwrap_or_else(|| header.path_bytes().into_owned());
        let own = || header.link_name_bytes().unwrap_or_default().into_owned();
        let link = extensions.link.unwrap_or_else(own);
        let stored = match extensions.size {
            Some(size) => size,
            None => header.entry_size()?,
        };
        let mut kind = header.entry_type();
        if kind == EntryType::Regular && name.ends_with(b"/") {
            // So old programs did it.
            kind = EntryType::Directory;
        }
        let mut parts = VecDeque::from([Part {
            zeros: 0,
            bytes: stored,
        }]);
        if kind == EntryType::GNUSparse {
            parts = holes::read(&header, stored, || self.block())?;
        }
        // A wrap would have the next header begin within the content.
        self.left = padded(stored)?;
        let add = |sum: u64, part: &Part| sum.checked_add(part.zeros)?.checked_add(part.bytes);
        let size = parts.iter().try_fold(0, add);
        Ok(Entry {
            size: size.ok_or_else(|| bad("a file is too large"))?,
            is_listed: extensions.is_listed,
            header,
            kind,
            name,
            link,
            parts,
        })
    }

    /// The next header; none: the block of zeros that ends an archive, or nothing ever came.
    fn header(&mut self) -> io::Result<Option<Header>> {
        let mut header = Header::new_old();
        let block = header.as_mut_bytes();
        let mut first = [0];
        if self.source.read(&mut first)? == 0 {
            return match self.has_begun {
                false => Ok(None),
                true => Err(io::ErrorKind::UnexpectedEof.into()),
            };
        }
        self.has_begun = true;
        block[0] = first[0];
        self.source.read_exact(&mut block[1..])?;
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        // The sum counts its own place as spaces.
        let others = block[..148].iter().chain(&block[156..]);
        let sum: u32 = others.map(|byte| u32::from(*byte)).sum::<u32>() + 8 * u32::from(b' ');
        if header.cksum()? != sum {
            return Err(bad("the check sum of a header is another"));
        }
        Ok(Some(header))
    }

    fn block(&mut self) -> io::Result<[u8; BLOCK as usize]> {
        let mut block = [0; BLOCK as usize];
        self.source.read_exact(&mut block)?;
        Ok(block)
    }

    fn text(&mut self, size: u64) -> io::Result<Vec<u8>> {
        if size > TEXT {
            return Err(bad("what is said of an entry is too long"));
        }
        let mut bytes = vec![0; usize::try_from(size).map_err(io::Error::other)?];
        self.source.read_exact(&mut bytes)?;
        self.left = padded(size)? - size;
        Ok(bytes)
    }

    fn skip(&mut self) -> io::Result<()> {
        let left = std::mem::take(&mut self.left);
        let skipped = io::copy(&mut (&mut self.source).take(left), &mut io::sink())?;
        if skipped < left {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}

/// Of one entry.
struct Content<'a, R> {
    entries: &'a mut Entries<R>,
    parts: &'a mut VecDeque<Part>,
}

impl<R: Read> Read for Content<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = buffer.len() as u64;
        let most = |left: u64| usize::try_from(left.min(room)).unwrap_or_default();
        while let Some(part) = self.parts.front_mut() {
            if part.zeros > 0 {
                let size = most(part.zeros);
                buffer[..size].fill(0);
                part.zeros -= size as u64;
                return Ok(size);
            }
            if part.bytes > 0 && !buffer.is_empty() {
                let size = self.entries.source.read(&mut buffer[..most(part.bytes)])?;
                if size == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                part.bytes -= size as u64;
                self.entries.left -= size as u64;
                return Ok(size);
            }
            if buffer.is_empty() {
                return Ok(0);
            }
            self.parts.pop_front();
        }
        Ok(0)
    }
}

fn padded(size: u64) -> io::Result<u64> {
    let padded = size.checked_next_multiple_of(BLOCK);
    padded.ok_or_else(|| bad("an entry is too large"))
}

/// A text without what ends it.
fn text(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.iter().position(|byte| *byte == 0);
    bytes.truncate(end.unwrap_or(bytes.len()));
    bytes
}

pub(super) fn bad(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
