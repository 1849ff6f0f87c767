//! Frames on a byte stream: a varint length, then one encoded message. Reads hostile bytes.

use bytes::{Buf as _, BufMut, BytesMut};
use prost::{
    Message,
    encoding::{decode_varint, encode_varint},
};
use thiserror::Error;

/// Longest encoding of a length: 28 bits are more than any frame may have.
const LENGTH_BYTES: usize = 4;

/// The other side does not speak the protocol. The connection is of no more use.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Broken {
    /// A frame is longer than this side takes.
    #[error("a frame is longer than {limit} bytes")]
    TooLong {
        /// What this side takes.
        limit: usize,
    },
    /// A frame is not the message that it should be.
    #[error("a frame cannot be decoded")]
    Malformed,
}

/// Appends one message as a frame.
pub fn put_frame(message: &impl Message, out: &mut impl BufMut) {
    encode_varint(message.encoded_len() as u64, out);
    // Cannot fail: growing buffers have room, and others were measured by their owner.
    let _ = message.encode(out);
}

/// Cuts frames out of the bytes of a stream.
#[derive(Debug)]
pub struct FrameReader {
    buffer: BytesMut,
    limit: usize,
}

impl FrameReader {
    /// Takes frames of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            limit,
        }
    }

    /// Where to put the bytes that come, at the end. Holds at most one frame and one read: take
    /// all frames out with [`Self::next`] before reading on.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// The next message; none until more bytes have come.
    ///
    /// # Errors
    /// Where the bytes are no frame. The reader must not be used again.
    #[allow(
        clippy::should_implement_trait,
        reason = "it can fail, and the kind of message is the caller's to say"
    )]
    pub fn next<M: Message + Default>(&mut self) -> Result<Option<M>, Broken> {
        let Some((prefix, length)) = self.length()? else {
            return Ok(None);
        };
        if self.buffer.len() < prefix + length {
            return Ok(None);
        }
        self.buffer.advance(prefix);
        let frame = self.buffer.split_to(length).freeze();
        M::decode(frame).map(Some).map_err(|_| Broken::Malformed)
    }

    /// The bytes that the length takes, and the length.
    fn length(&self) -> Result<Option<(usize, usize)>, Broken> {
        let head = &self.buffer[..self.buffer.len().min(LENGTH_BYTES)];
        let Some(last) = head.iter().position(|byte| byte & 0x80 == 0) else {
            return if head.len() < LENGTH_BYTES {
                Ok(None)
            } else {
                Err(Broken::TooLong { limit: self.limit })
            };
        };
        let length = decode_varint(&mut &head[..=last]).map_err(|_| Broken::Malformed)?;
        match usize::try_from(length) {
            Ok(length) if length <= self.limit => Ok(Some((last + 1, length))),
            _ => Err(Broken::TooLong { limit: self.limit }),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::v1::{FromRunner, Output, from_runner::Body};

    fn output(call: u64, data: Vec<u8>) -> FromRunner {
        let data = Bytes::from(data);
        FromRunner {
            call,
            body: Some(Body::Output(Output {
                channel: 1,
                offset: 7,
                data,
            })),
        }
    }

    proptest! {
        /// However the stream is cut into reads, the same frames come out.
        #[test]
        fn frames_survive_any_cut(
            frames in prop::collection::vec((any::<u64>(), prop::collection::vec(any::<u8>(), 0..300)), 0..8),
            cut in 1usize..64,
        ) {
            let frames: Vec<_> = frames.into_iter().map(|(call, data)| output(call, data)).collect();
            let mut bytes = Vec::new();
            frames.iter().for_each(|frame| put_frame(frame, &mut bytes));
            let (mut reader, mut seen) = (FrameReader::new(1024), Vec::new());
            for piece in bytes.chunks(cut) {
                reader.buffer().extend_from_slice(piece);
                while let Some(frame) = reader.next::<FromRunner>().unwrap() {
                    seen.push(frame);
                }
            }
            prop_assert_eq!(seen, frames);
        }

        /// Garbage ends in an error or in waiting for more, never in a panic or a large buffer.
        #[test]
        fn garbage_is_bounded(bytes in prop::collection::vec(any::<u8>(), 0..4096)) {
            let mut reader = FrameReader::new(512);
            reader.buffer().extend_from_slice(&bytes);
            while let Ok(Some(_)) = reader.next::<FromRunner>() {}
        }
    }

    #[test]
    fn too_long_is_said_before_it_is_read() {
        let mut reader = FrameReader::new(16);
        encode_varint(17, reader.buffer());
        assert_eq!(
            reader.next::<FromRunner>(),
            Err(Broken::TooLong { limit: 16 })
        );
        let mut reader = FrameReader::new(16);
        reader.buffer().extend_from_slice(&[0xff; 4]);
        assert_eq!(
            reader.next::<FromRunner>(),
            Err(Broken::TooLong { limit: 16 })
        );
    }
}
