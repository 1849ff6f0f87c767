//! What an archive comes wrapped in.

use std::io::{self, BufRead as _, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use sandgate_runner_proto::v1::Compression;

/// Largest window of Zstandard, as a power of two.
const WINDOW: u32 = 27;
/// Bytes behind an archive's end that are looked at for a check sum.
const BEHIND: u64 = 1 << 20;

/// An archive without its compression.
pub(super) struct Plain<'a> {
    reader: Box<dyn Read + 'a>,
}

impl<'a> Plain<'a> {
    pub(super) fn new<R: Read + 'a>(
        source: &'a mut BufReader<R>,
        how: Compression,
    ) -> io::Result<Self> {
        let told = match source.fill_buf()? {
            [0x1f, 0x8b, ..] => Compression::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Compression::Zstd,
            _ => Compression::None,
        };
        let how = match how {
            Compression::Unspecified => told,
            how => how,
        };
        let reader: Box<dyn Read + 'a> = match how {
            Compression::Gzip => Box::new(MultiGzDecoder::new(source)),
            Compression::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(source)?;
                decoder.window_log_max(WINDOW)?;
                Box::new(decoder)
            }
            Compression::Unspecified | Compression::None => Box::new(source),
        };
        Ok(Self { reader })
    }

    /// Fails for an archive whose check sum is another, behind its end.
    pub(super) fn finish(self) -> io::Result<()> {
        io::copy(&mut self.reader.take(BEHIND), &mut io::sink()).map(drop)
    }
}

impl Read for Plain<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer)
    }
}
