//! Writes a file without the zeros in it: where nothing is, nothing takes room on the disk.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt as _,
};

use super::again;

/// What is zero is left out by blocks of this size, each where one of the file system begins. What
/// comes of a block may be less.
const BLOCK: usize = 4096;
/// Size of a read.
const CHUNK: usize = 256 * 1024;

/// A new file that is written from its beginning to its end.
pub(super) struct Sparse<'a> {
    file: &'a File,
    /// Bytes so far, those left out among them.
    pub(super) bytes: u64,
}

impl<'a> Sparse<'a> {
    pub(super) const fn new(file: &'a File) -> Self {
        Self { file, bytes: 0 }
    }

    /// The next bytes.
    pub(super) fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        let begun = usize::try_from(self.bytes % BLOCK as u64).unwrap_or_default();
        // What is between the two is to be written.
        let (mut from, mut to) = (0, 0);
        while to < bytes.len() {
            let end = bytes.len().min(to + BLOCK - (begun + to) % BLOCK);
            if is_zero(&bytes[to..end]) {
                self.write(&bytes[from..to])?;
                self.bytes += (end - to) as u64;
                from = end;
            }
            to = end;
        }
        self.write(&bytes[from..])
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, self.bytes)?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// All that is read; how much it is.
    pub(super) fn put_all(&mut self, source: &mut impl Read) -> io::Result<u64> {
        let (begun, mut chunk) = (self.bytes, vec![0; CHUNK]);
        loop {
            match again(|| source.read(&mut chunk))? {
                0 => return Ok(self.bytes - begun),
                size => self.put(&chunk[..size])?,
            }
        }
    }

    /// These were all; how many.
    pub(super) fn finish(self) -> io::Result<u64> {
        if self.bytes > self.file.metadata()?.len() {
            self.file.set_len(self.bytes)?;
        }
        Ok(self.bytes)
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    // Zero at first, and each like the one before it.
    bytes.first() == Some(&0) && bytes[1..] == bytes[..bytes.len() - 1]
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn zeros_take_no_room_however_they_come() {
        let mut all = vec![7; 10_000];
        all.extend(vec![0; 4 << 20]);
        all.extend(b"end");
        all.extend(vec![0; 70_000]);
        for size in [1000, 65_536, 100_003, all.len()] {
            let file = tempfile::NamedTempFile::new().unwrap();
            let mut sparse = Sparse::new(file.as_file());
            for chunk in all.chunks(size) {
                sparse.put(chunk).unwrap();
            }
            assert_eq!(sparse.finish().unwrap(), all.len() as u64);
            assert!(std::fs::read(file.path()).unwrap() == all);
            let room = file.as_file().metadata().unwrap().blocks() * 512;
            assert!(room < 100_000, "{size}: {room}");
        }
    }
}
