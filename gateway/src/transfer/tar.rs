//! Reads a tar archive as it comes, and holds next to nothing of it. The archive was made in a sandbox:
//! whatever its bytes are, names are bounded, and content is read only as far as it was announced.

use async_trait::async_trait;
use bytes::{Buf as _, Bytes};
use sandgate_proto::{Problem, Reason};
use tar::{EntryType, Header, PaxExtensions};

use crate::problem::Result;

const BLOCK: usize = 512;
/// Largest header that says more about the next one, and most of them before one entry.
const EXTENSION: u64 = 64 << 10;
const EXTENSIONS: usize = 8;
/// Most blocks that describe the holes of one sparse file.
const SPARSE: usize = 10_000;

/// The record that marks a file that changed while it was packed, in a global header behind it.
const CHANGED: (&[u8], &[u8]) = (b"comment", b"CHANGED");

/// Where the bytes of an archive come from.
#[async_trait]
pub(super) trait Source: Send {
    /// The next bytes; none at the end.
    async fn next(&mut self) -> Result<Option<Bytes>>;
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
    Other,
}

/// An entry. Its content comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// As it is written in the archive.
    pub(super) name: Vec<u8>,
    pub(super) kind: Kind,
    /// Bytes of content.
    pub(super) size: u64,
}

/// An archive that is being read.
pub(super) struct Tar<S> {
    source: S,
    /// Bytes that came and were not taken yet.
    data: Bytes,
    /// Content of the present entry that was not taken yet, and what fills its last block.
    left: u64,
    filling: u64,
    /// A header that was read to see whether it is about the entry before it.
    ahead: Option<Header>,
    ended: bool,
}

/// What headers before an entry said of it.
#[derive(Default)]
struct Extended {
    name: Option<Vec<u8>>,
    size: Option<u64>,
    sparse: bool,
}

impl<S: Source> Tar<S> {
    pub(super) fn new(source: S) -> Self {
        Self {
            source,
            data: Bytes::new(),
            left: 0,
            filling: 0,
            ahead: None,
            ended: false,
        }
    }

    /// The next entry; none at the end. What is left of the one before is passed over.
    ///
    /// # Errors
    /// `ARCHIVE_INVALID`, and what the source has.
    pub(super) async fn next(&mut self) -> Result<Option<Entry>> {
        let mut said = Extended::default();
        for _ in 0..=EXTENSIONS {
            self.pass_over().await?;
            let Some(header) = self.header().await? else {
                return Ok(None);
            };
            let size = header.entry_size().map_err(|_| invalid())?;
            match header.entry_type() {
                EntryType::GNULongName => {
                    let mut name = self.extension(size).await?;
                    name.truncate(
                        name.iter()
                            .position(|byte| *byte == 0)
                            .unwrap_or(name.len()),
                    );
                    said.name = Some(name);
                }
                EntryType::XHeader => {
                    let records = self.extension(size).await?;
                    said.hear(&records)?;
                }
                EntryType::GNULongLink | EntryType::XGlobalHeader => self.set_content(size),
                kind => return self.entry(&header, kind, size, said).await.map(Some),
            }
        }
        Err(invalid())
    }

    /// Whether the present entry's content is no copy of the file: it changed while it was packed, as is
    /// said right behind it. What is left of it is passed over. To be asked before anything is made of
    /// an entry, at most once.
    ///
    /// # Errors
    /// As [`Self::next`]: what comes next has to be a header, or the end.
    pub(super) async fn has_changed(&mut self) -> Result<bool> {
        self.pass_over().await?;
        let Some(header) = self.header().await? else {
            return Ok(false);
        };
        if header.entry_type() != EntryType::XGlobalHeader {
            self.ahead = Some(header);
            return Ok(false);
        }
        let size = header.entry_size().map_err(|_| invalid())?;
        let records = self.extension(size).await?;
        let mut records = PaxExtensions::new(&records).flatten();
        Ok(records.any(|one| (one.key_bytes(), one.value_bytes()) == CHANGED))
    }

    async fn entry(
        &mut self,
        header: &Header,
        kind: EntryType,
        size: u64,
        said: Extended,
    ) -> Result<Entry> {
        if kind == EntryType::GNUSparse {
            self.pass_over_holes(header).await?;
        }
        let size = said.size.unwrap_or(size);
        let kind = match kind {
            EntryType::Regular | EntryType::Continuous if !said.sparse => Kind::File,
            EntryType::Directory => Kind::Folder,
            _ => Kind::Other,
        };
        self.set_content(size);
        let name = said
            .name
            .unwrap_or_else(|| header.path_bytes().into_owned());
        Ok(Entry { name, kind, size })
    }

    /// Content of the present entry that is still to come.
    pub(super) fn left(&self) -> u64 {
        self.left
    }

    /// The next bytes of the present entry's content; none at its end.
    pub(super) async fn data(&mut self) -> Result<Option<Bytes>> {
        if self.left == 0 {
            return Ok(None);
        }
        let data = self.some(self.left).await?;
        self.left -= data.len() as u64;
        Ok(Some(data))
    }

    /// Reads what comes behind the archive, which is no more of it; the source.
    pub(super) async fn end(mut self) -> Result<S> {
        while self.source.next().await?.is_some() {}
        Ok(self.source)
    }

    fn set_content(&mut self, size: u64) {
        self.left = size;
        self.filling = size.wrapping_neg() % BLOCK as u64;
    }

    async fn pass_over(&mut self) -> Result<()> {
        while self.data().await?.is_some() {}
        while self.filling > 0 {
            let passed = self.some(self.filling).await?;
            self.filling -= passed.len() as u64;
        }
        Ok(())
    }

    /// At least one and at most so many bytes.
    async fn some(&mut self, most: u64) -> Result<Bytes> {
        while self.data.is_empty() {
            self.data = self.source.next().await?.ok_or_else(invalid)?;
        }
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        Ok(self.data.split_to(self.data.len().min(most)))
    }

    async fn block(&mut self) -> Result<[u8; BLOCK]> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            let mut some = self.some((BLOCK - filled) as u64).await?;
            let size = some.len();
            some.copy_to_slice(&mut block[filled..filled + size]);
            filled += size;
        }
        Ok(block)
    }

    /// The next header; none where the archive says that it ends, or its bytes do between two entries.
    async fn header(&mut self) -> Result<Option<Header>> {
        if let Some(header) = self.ahead.take() {
            return Ok(Some(header));
        }
        if self.ended {
            return Ok(None);
        }
        let block = self.block().await?;
        if block.iter().all(|byte| *byte == 0) {
            self.ended = true;
            return Ok(None);
        }
        let header = Header::from_byte_slice(&block);
        let written = header.cksum().map_err(|_| invalid())?;
        // The checksum is of the header with spaces in its own place.
        let sum = |bytes: &[u8]| bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
        if sum(&block[..148]) + sum(&block[156..]) + 8 * u32::from(b' ') != written {
            return Err(invalid());
        }
        Ok(Some(header.clone()))
    }

    /// The content of a header that says more about the next one.
    async fn extension(&mut self, size: u64) -> Result<Vec<u8>> {
        if size > EXTENSION {
            return Err(invalid());
        }
        self.set_content(size);
        let mut content = Vec::new();
        while let Some(data) = self.data().await? {
            content.extend_from_slice(&data);
        }
        Ok(content)
    }

    /// Passes over the blocks that describe where a sparse file's bytes lie.
    async fn pass_over_holes(&mut self, header: &Header) -> Result<()> {
        // The byte that says whether another block follows: in the header, and in such a block.
        let mut more = header.as_bytes()[482] == 1;
        for _ in 0..SPARSE {
            if !more {
                return Ok(());
            }
            more = self.block().await?[504] == 1;
        }
        Err(invalid())
    }
}

impl Extended {
    fn hear(&mut self, records: &[u8]) -> Result<()> {
        for record in PaxExtensions::new(records) {
            let record = record.map_err(|_| invalid())?;
            match record.key_bytes() {
                b"path" => self.name = Some(record.value_bytes().to_vec()),
                b"size" => {
                    let size = record.value().ok().and_then(|size| size.parse().ok());
                    self.size = Some(size.ok_or_else(invalid)?);
                }
                key if key.starts_with(b"GNU.sparse.") => self.sparse = true,
                _ => {}
            }
        }
        Ok(())
    }
}

fn invalid() -> Problem {
    Problem::new(
        Reason::ArchiveInvalid,
        "what the sandbox sent is no tar archive, or not all of one; repeat the call",
    )
}

#[cfg(test)]
mod tests;
