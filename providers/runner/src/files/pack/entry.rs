//! Entries of an archive: headers that hold names as they are, and content of the size that was said.
//! The `tar` crate's own way takes parts of links away, and no long name that is not UTF-8.

use std::{
    fs::{File, Metadata},
    io::{self, Read, Write},
    os::unix::fs::MetadataExt as _,
};

use tar::{Builder, EntryType, Header};

/// What old readers expect as the name of an entry that only holds a long one.
const LONG: &[u8] = b"././@LongLink";

/// A record of pax: its own length, a standard name, a value.
const CHANGED: &[u8] = b"19 comment=CHANGED\n";

/// A header with all but its names.
pub(super) fn header(found: &Metadata, kind: EntryType) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(found.mode() & 0o7777);
    header.set_uid(found.uid().into());
    header.set_gid(found.gid().into());
    header.set_mtime(u64::try_from(found.mtime()).unwrap_or_default());
    header.set_size(0);
    header
}

/// Appends an entry; `link` is where it points, if it is a link.
pub(super) fn append<W: Write>(
    builder: &mut Builder<W>,
    mut header: Header,
    (name, link): (&[u8], &[u8]),
    content: impl Read,
) -> io::Result<()> {
    long(
        builder,
        EntryType::GNULongLink,
        link,
        &header.as_old().linkname,
    )?;
    long(builder, EntryType::GNULongName, name, &header.as_old().name)?;
    let old = header.as_old_mut();
    put(&mut old.linkname, link);
    put(&mut old.name, name);
    header.set_cksum();
    builder.append(&header, content)
}

/// Appends an entry that holds a text which is too long for its place in the next header.
fn long<W: Write>(
    builder: &mut Builder<W>,
    kind: EntryType,
    text: &[u8],
    place: &[u8],
) -> io::Result<()> {
    if text.len() <= place.len() {
        return Ok(());
    }
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(text.len() as u64 + 1);
    put(&mut header.as_old_mut().name, LONG);
    header.set_cksum();
    builder.append(&header, text.chain(&[0][..]))
}

/// Says of the file that came last that it changed while it was read: in a global header of pax, which
/// every reader passes over that does not look for it.
pub(super) fn mark_changed<W: Write>(builder: &mut Builder<W>) -> io::Result<()> {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::XGlobalHeader);
    header.set_mode(0o644);
    header.set_size(CHANGED.len() as u64);
    put(&mut header.as_old_mut().name, b"pax_global_header");
    header.set_cksum();
    builder.append(&header, CHANGED)
}

fn put(place: &mut [u8], text: &[u8]) {
    let size = text.len().min(place.len());
    place[..size].copy_from_slice(&text[..size]);
}

/// A file of exactly the size that was said, whatever becomes of it meanwhile.
pub(super) struct Content {
    pub(super) file: File,
    pub(super) left: u64,
    pub(super) is_whole: bool,
}

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let most = buffer.len().min(most);
        if most == 0 {
            return Ok(0);
        }
        let size = match self.file.read(&mut buffer[..most]) {
            Ok(size @ 1..) => size,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            // It became shorter, or cannot be read: zeros stand for what is missing.
            Ok(0) | Err(_) => {
                self.is_whole = false;
                buffer[..most].fill(0);
                most
            }
        };
        self.left -= size as u64;
        Ok(size)
    }
}
