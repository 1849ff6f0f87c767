//! One channel of a stream as it was received: bytes and gaps, without a hole and without a repeat.

use sandgate_proto::v1::{OutputChunk, OutputGap};

use crate::{
    failure::{Failure, broken, ensure},
    numbers::Numbers,
};

/// Most bytes of one chunk.
const CHUNK_BYTES: usize = 64 * 1024;

/// Where a channel has to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    /// At this offset.
    At(u64),
    /// At whichever offset comes first: a tail was asked for.
    Anywhere,
}

/// Bytes or a gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Bytes that came.
    Data {
        /// Offset of the first.
        offset: u64,
        /// The bytes; neighbouring chunks are joined.
        bytes: Vec<u8>,
    },
    /// Bytes that were said to be gone.
    Gap {
        /// Offset of the first.
        start: u64,
        /// Offset after the last.
        end: u64,
        /// Why.
        reason: String,
    },
}

/// What came of one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Channel {
    name: &'static str,
    first: Option<u64>,
    next: u64,
    pieces: Vec<Piece>,
}

impl Channel {
    pub(super) fn new(name: &'static str, from: Begin) -> Self {
        let (first, next) = match from {
            Begin::At(offset) => (Some(offset), offset),
            Begin::Anywhere => (None, 0),
        };
        Self {
            name,
            first,
            next,
            pieces: Vec::new(),
        }
    }

    /// The offset after the last byte that came or was said to be gone.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// Where it began; nothing if it may begin anywhere and nothing came.
    pub(crate) fn first(&self) -> Option<u64> {
        self.first
    }

    /// All that came, in order.
    pub(crate) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Whether neither a byte nor a gap came.
    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// The bytes that came, gaps left out.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let data = self.pieces.iter().filter_map(|piece| match piece {
            Piece::Data { bytes, .. } => Some(bytes.as_slice()),
            Piece::Gap { .. } => None,
        });
        data.collect::<Vec<_>>().concat()
    }

    /// The bytes as text, for comparisons and messages.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    /// Whether a gap came.
    pub(crate) fn has_gap(&self) -> bool {
        self.pieces
            .iter()
            .any(|piece| matches!(piece, Piece::Gap { .. }))
    }

    /// Fails unless all that came is what the process wrote at these offsets.
    pub(crate) fn check(&self, numbers: Numbers) -> Result<(), Failure> {
        self.pieces.iter().try_for_each(|piece| match piece {
            Piece::Data { offset, bytes } => numbers.check(*offset, bytes),
            Piece::Gap { .. } => Ok(()),
        })
    }

    /// Fails unless all of it came, from the first offset asked for to the last byte.
    pub(crate) fn check_whole(&self, numbers: Numbers) -> Result<(), Failure> {
        self.check(numbers)?;
        ensure(!self.has_gap(), || {
            format!(
                "{}: a gap in {} bytes: {:?}",
                self.name,
                numbers.len(),
                self.outline()
            )
        })?;
        ensure(self.next == numbers.len(), || {
            format!(
                "{}: the bytes end at offset {}, due was {}",
                self.name,
                self.next,
                numbers.len()
            )
        })
    }

    /// Offsets of pieces, for messages.
    pub(crate) fn outline(&self) -> Vec<String> {
        let outline = |piece: &Piece| match piece {
            Piece::Data { offset, bytes } => format!("{offset}..{}", offset + bytes.len() as u64),
            Piece::Gap { start, end, reason } => format!("gap {start}..{end} {reason}"),
        };
        self.pieces.iter().map(outline).collect()
    }

    pub(super) fn output(&mut self, chunk: &OutputChunk) -> Result<(), Failure> {
        let length = chunk.data.len();
        ensure(length > 0, || {
            format!("{}: a chunk without bytes", self.name)
        })?;
        ensure(length <= CHUNK_BYTES, || {
            format!("{}: a chunk of {length} bytes, more than 64 KiB", self.name)
        })?;
        self.follows("a chunk", chunk.offset)?;
        self.next = chunk.offset + length as u64;
        match self.pieces.last_mut() {
            Some(Piece::Data { bytes, .. }) => bytes.extend_from_slice(&chunk.data),
            _ => self.pieces.push(Piece::Data {
                offset: chunk.offset,
                bytes: chunk.data.to_vec(),
            }),
        }
        Ok(())
    }

    pub(super) fn gap(&mut self, gap: OutputGap) -> Result<(), Failure> {
        let (start, end) = (gap.start_offset, gap.end_offset);
        ensure(end > start, || {
            format!("{}: a gap from {start} to {end} holds nothing", self.name)
        })?;
        ensure(!gap.reason.is_empty(), || {
            format!(
                "{}: a gap from {start} to {end} without a reason",
                self.name
            )
        })?;
        self.follows("a gap", start)?;
        self.next = end;
        self.pieces.push(Piece::Gap {
            start,
            end,
            reason: gap.reason,
        });
        Ok(())
    }

    fn follows(&mut self, what: &str, offset: u64) -> Result<(), Failure> {
        let due = match self.first {
            Some(_) => self.next,
            None => offset,
        };
        self.first.get_or_insert(offset);
        let fault = match offset.cmp(&due) {
            std::cmp::Ordering::Equal => return Ok(()),
            std::cmp::Ordering::Less => "bytes came twice",
            std::cmp::Ordering::Greater => "bytes were left out without a gap",
        };
        Err(broken(format!(
            "{}: {fault}: {what} at offset {offset}, due was {due}",
            self.name
        )))
    }
}
