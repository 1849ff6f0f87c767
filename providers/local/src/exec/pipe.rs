//! One of a command's output pipes.

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Bytes that one read may bring; what a pipe holds.
const READ: usize = 64 * 1024;

/// A pipe that is read until its end.
#[derive(Debug)]
pub(super) struct Pipe<R> {
    reader: Option<R>,
    buffer: BytesMut,
}

impl<R: AsyncRead + Unpin> Pipe<R> {
    pub(super) fn new(reader: Option<R>) -> Self {
        Self {
            reader,
            buffer: BytesMut::new(),
        }
    }

    /// The next bytes; none at the end, and from then on. Cancel-safe.
    pub(super) async fn read(&mut self) -> Option<Bytes> {
        let reader = self.reader.as_mut()?;
        // Small reads share one allocation.
        if self.buffer.capacity() - self.buffer.len() < READ / 4 {
            self.buffer.reserve(READ);
        }
        match reader.read_buf(&mut self.buffer).await {
            Ok(count) if count > 0 => Some(self.buffer.split().freeze()),
            // A pipe does not fail; if it did there would be nothing more to have.
            _ => {
                self.reader = None;
                None
            }
        }
    }
}
