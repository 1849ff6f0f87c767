//! Where the bytes of a write come from: the connection, or a file that was put there for it.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::PathBuf,
};

use bytes::{Buf as _, Bytes};

use super::{Trouble, facts::path, line::Line, read::open};

/// Size of a read of a file.
const CHUNK: usize = 256 * 1024;

/// The bytes of one request.
pub(super) enum Source<'a> {
    Line(&'a mut Line, Bytes),
    /// Taken away in the end.
    File(File, PathBuf),
}

impl<'a> Source<'a> {
    /// The file of this name; none: the connection.
    pub(super) fn of(line: &'a mut Line, source: &str) -> Result<Self, Trouble> {
        if source.is_empty() {
            return Ok(Self::Line(line, Bytes::new()));
        }
        let path = path(source)?;
        Ok(Self::File(open(&path)?, path))
    }

    /// The next bytes; none: these were all.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, Trouble> {
        match self {
            Self::Line(line, left) if left.is_empty() => line.content(),
            Self::Line(_, left) => Ok(Some(std::mem::take(left))),
            Self::File(file, _) => {
                let mut chunk = vec![0; CHUNK];
                let size = file.read(&mut chunk)?;
                chunk.truncate(size);
                Ok((size > 0).then(|| chunk.into()))
            }
        }
    }
}

/// For who wants to read as of a file. What is wrong with the connection comes as what it is.
impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file, _) => file.read(buffer),
            Self::Line(line, left) => {
                if left.is_empty() {
                    let next = line.content().map_err(|trouble| match trouble {
                        Trouble::Line(error) => error,
                        Trouble::Refused(_) => io::ErrorKind::InvalidData.into(),
                    })?;
                    *left = next.unwrap_or_default();
                }
                let size = left.len().min(buffer.len());
                left.copy_to_slice(&mut buffer[..size]);
                Ok(size)
            }
        }
    }
}

impl Drop for Source<'_> {
    fn drop(&mut self) {
        if let Self::File(_, path) = self {
            // Whoever put it there clears its folder, too.
            let _ = fs::remove_file(path);
        }
    }
}
