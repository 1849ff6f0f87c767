//! What an observation has received and its reader has not yet taken. Small pieces are joined while
//! they wait, so that the queue is bounded by its bytes.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use sandgate_runner_proto::v1::{Ended, Gap, Totals};

use super::Violation;

/// Size at which a piece is full: what one message to a caller carries.
pub(super) const FULL: usize = 64 * 1024;
/// Larger pieces are kept as they came; smaller ones are copied, or each would hold on to the whole
/// read that it came with.
const COPIED: usize = 32 * 1024;
/// Waiting pieces above which those of one channel are joined past those of another.
const ORDERED: usize = 64;
/// Waiting pieces that no honest output has.
const MOST: usize = 4096;

/// Something seen of an execution.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Seen {
    /// Bytes of a channel.
    Output {
        /// Number of the channel.
        channel: i32,
        /// Place of the first byte.
        offset: u64,
        /// At most 64 KiB.
        data: Bytes,
    },
    /// Bytes of a channel that cannot be had.
    Gap(Gap),
    /// All that there was of a process that runs on. Nothing follows.
    SnapshotEnd(Totals),
    /// The end. Nothing follows.
    Ended(Box<Ended>),
}

#[derive(Debug)]
enum Piece {
    Whole(Seen),
    /// Output that more can join.
    Open {
        channel: i32,
        offset: u64,
        data: BytesMut,
    },
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    pieces: VecDeque<Piece>,
}

impl Piece {
    fn channel(&self) -> Option<i32> {
        match self {
            Self::Whole(Seen::Output { channel, .. }) | Self::Open { channel, .. } => {
                Some(*channel)
            }
            Self::Whole(Seen::Gap(gap)) => Some(gap.channel),
            Self::Whole(_) => None,
        }
    }
}

impl Queue {
    /// Adds bytes that go on where the channel's last ones ended.
    pub(super) fn output(
        &mut self,
        channel: i32,
        offset: u64,
        data: Bytes,
    ) -> Result<(), Violation> {
        if data.len() < COPIED {
            if let Some(Piece::Open { data: open, .. }) = self.last_of(channel)
                && open.len() + data.len() <= FULL
            {
                open.extend_from_slice(&data);
                return Ok(());
            }
            return self.push(Piece::Open {
                channel,
                offset,
                data: BytesMut::from(&data[..]),
            });
        }
        let (mut offset, mut data) = (offset, data);
        while !data.is_empty() {
            let piece = data.split_to(data.len().min(FULL));
            let next = offset + piece.len() as u64;
            self.push(Piece::Whole(Seen::Output {
                channel,
                offset,
                data: piece,
            }))?;
            offset = next;
        }
        Ok(())
    }

    /// Adds a gap that goes on where the channel's last bytes ended.
    pub(super) fn gap(&mut self, gap: Gap) -> Result<(), Violation> {
        if let Some(Piece::Whole(Seen::Gap(last))) = self.last_of(gap.channel) {
            last.end_offset = gap.end_offset;
            return Ok(());
        }
        self.push(Piece::Whole(Seen::Gap(gap)))
    }

    /// Adds the last piece.
    pub(super) fn end(&mut self, seen: Seen) {
        self.pieces.push_back(Piece::Whole(seen));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Whether waiting would add nothing to the first piece.
    pub(super) fn is_full(&self) -> bool {
        match self.pieces.front() {
            Some(Piece::Open { data, .. }) => data.len() >= FULL || self.pieces.len() > 1,
            Some(Piece::Whole(_)) => true,
            None => false,
        }
    }

    pub(super) fn take(&mut self) -> Option<Seen> {
        Some(match self.pieces.pop_front()? {
            Piece::Whole(seen) => seen,
            Piece::Open {
                channel,
                offset,
                data,
            } => Seen::Output {
                channel,
                offset,
                data: data.freeze(),
            },
        })
    }

    fn push(&mut self, piece: Piece) -> Result<(), Violation> {
        if self.pieces.len() >= MOST {
            return Err(Violation::Flood);
        }
        self.pieces.push_back(piece);
        Ok(())
    }

    /// The piece of this channel that the next one may join.
    fn last_of(&mut self, channel: i32) -> Option<&mut Piece> {
        let reach = if self.pieces.len() > ORDERED {
            usize::MAX
        } else {
            1
        };
        self.pieces
            .iter_mut()
            .rev()
            .take(reach)
            .find(|piece| piece.channel() == Some(channel))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(queue: &mut Queue) -> Vec<Seen> {
        std::iter::from_fn(|| queue.take()).collect()
    }

    #[test]
    fn small_pieces_join_and_large_ones_are_cut() {
        let mut queue = Queue::default();
        let (mut offset, byte) = (0, Bytes::from_static(b"x"));
        for _ in 0..100_000 {
            queue.output(1, offset, byte.clone()).unwrap();
            offset += 1;
        }
        queue.output(1, offset, vec![0; 200_000].into()).unwrap();
        let (mut next, taken) = (0, taken(&mut queue));
        for seen in &taken {
            let Seen::Output { offset, data, .. } = seen else {
                panic!("{seen:?}")
            };
            assert!(*offset == next && data.len() <= FULL);
            next += data.len() as u64;
        }
        assert_eq!(next, 300_000);
        assert!(taken.len() < 8, "{}", taken.len());
    }

    #[test]
    fn channels_that_take_turns_stay_bounded() {
        let mut queue = Queue::default();
        for offset in 0..500_000 {
            for channel in [1, 2] {
                queue
                    .output(channel, offset, Bytes::from_static(b"x"))
                    .unwrap();
            }
        }
        assert!(queue.pieces.len() < 100);
        let mut next = [0; 2];
        for seen in taken(&mut queue) {
            let Seen::Output {
                channel,
                offset,
                data,
            } = seen
            else {
                panic!()
            };
            let next = &mut next[channel as usize - 1];
            assert_eq!(offset, *next);
            *next += data.len() as u64;
        }
        assert_eq!(next, [500_000; 2]);
    }

    #[test]
    fn a_flood_of_gaps_is_refused() {
        let mut queue = Queue::default();
        let flood = (0..).try_for_each(|turn: u64| {
            queue.gap(Gap {
                channel: 1,
                start_offset: 2 * turn,
                end_offset: 2 * turn + 1,
                reason: String::new(),
            })?;
            queue.output(1, 2 * turn + 1, Bytes::from_static(b"x"))
        });
        assert_eq!(flood, Err(Violation::Flood));
    }
}
