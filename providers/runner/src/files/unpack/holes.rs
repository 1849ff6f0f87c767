//! The list of holes of a file as GNU tar writes it: in its header, and in blocks behind it.

use std::{collections::VecDeque, io};

use tar::{GnuExtSparseHeader, GnuSparseHeader, Header};

use super::entries::{BLOCK, Part, bad};

/// Most parts of a file.
const PARTS: usize = 1 << 16;

/// Reads it; `stored` is how many bytes are in the archive.
pub(super) fn read(
    header: &Header,
    stored: u64,
    mut block: impl FnMut() -> io::Result<[u8; BLOCK as usize]>,
) -> io::Result<VecDeque<Part>> {
    let gnu = header
        .as_gnu()
        .ok_or_else(|| bad("a list of holes in no header of GNU tar"))?;
    let mut list = List::default();
    gnu.sparse.iter().try_for_each(|entry| list.add(entry))?;
    let mut goes_on = gnu.is_extended();
    while goes_on {
        let mut more = GnuExtSparseHeader::new();
        *more.as_mut_bytes() = block()?;
        more.sparse().iter().try_for_each(|entry| list.add(entry))?;
        goes_on = more.is_extended();
    }
    list.finish(gnu.real_size()?, stored)
}

/// The list while it grows.
#[derive(Default)]
struct List {
    parts: VecDeque<Part>,
    end: u64,
    bytes: u64,
}

impl List {
    fn add(&mut self, entry: &GnuSparseHeader) -> io::Result<()> {
        if entry.is_empty() {
            return Ok(());
        }
        let (offset, bytes) = (entry.offset()?, entry.length()?);
        let zeros = offset.checked_sub(self.end);
        let zeros = zeros.ok_or_else(|| bad("the parts of a file are out of order"))?;
        let wrong = || bad("a part of a file is too large");
        self.end = offset.checked_add(bytes).ok_or_else(wrong)?;
        self.bytes = self.bytes.checked_add(bytes).ok_or_else(wrong)?;
        self.parts.push_back(Part { zeros, bytes });
        if self.parts.len() > PARTS {
            return Err(bad("a file has too many holes"));
        }
        Ok(())
    }

    fn finish(mut self, size: u64, stored: u64) -> io::Result<VecDeque<Part>> {
        let zeros = size.checked_sub(self.end);
        let zeros = zeros.ok_or_else(|| bad("the parts of a file are more than all of it"))?;
        if self.bytes != stored {
            return Err(bad("the parts of a file are not what is there"));
        }
        self.parts.push_back(Part { zeros, bytes: 0 });
        Ok(self.parts)
    }
}
