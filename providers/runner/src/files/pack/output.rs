//! The archive on its way out: compressed, and cut into frames of the answer.

use std::io::{self, Write};

use flate2::write::GzEncoder;
use sandgate_runner_proto::v1::{Compression, file_answer};

use super::super::{line::Line, trouble::Trouble};

/// Bytes in one frame.
const CHUNK: usize = 256 * 1024;

/// The archive as frames of the answer.
pub(super) struct Frames<'a> {
    line: &'a mut Line,
    buffer: Vec<u8>,
}

impl<'a> Frames<'a> {
    pub(super) fn new(line: &'a mut Line) -> Self {
        Self {
            line,
            buffer: Vec::with_capacity(CHUNK),
        }
    }
}

impl Write for Frames<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let size = bytes.len().min(CHUNK - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..size]);
        if self.buffer.len() == CHUNK {
            self.flush()?;
        }
        Ok(size)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let data = std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK));
        let sent = self.line.part(file_answer::Body::Data(data.into()));
        sent.map_err(|trouble| match trouble {
            Trouble::Line(error) => error,
            Trouble::Refused(_) => io::ErrorKind::Other.into(),
        })
    }
}

/// How it is compressed.
pub(super) enum Compressor<W: Write> {
    None(W),
    Gzip(GzEncoder<W>),
    Zstd(zstd::Encoder<'static, W>),
}

impl<W: Write> Compressor<W> {
    pub(super) fn new(to: W, how: Compression) -> io::Result<Self> {
        Ok(match how {
            Compression::Unspecified | Compression::None => Self::None(to),
            Compression::Gzip => Self::Gzip(GzEncoder::new(to, flate2::Compression::fast())),
            Compression::Zstd => Self::Zstd(zstd::Encoder::new(to, 0)?),
        })
    }

    pub(super) fn finish(self) -> io::Result<()> {
        match self {
            Self::None(mut to) => to.flush(),
            Self::Gzip(encoder) => encoder.finish()?.flush(),
            Self::Zstd(encoder) => encoder.finish()?.flush(),
        }
    }
}

impl<W: Write> Write for Compressor<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::None(to) => to.write(bytes),
            Self::Gzip(encoder) => encoder.write(bytes),
            Self::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        // Frames are full ones; the end flushes.
        Ok(())
    }
}
