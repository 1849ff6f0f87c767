//! Merges output into frames of a good size. HTTP/2 peers count small unread frames against the
//! whole connection, so small writes are joined whenever more is coming.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use sandgate_proto::v1::{OutputChannel, OutputChunk};
use tokio::time::Instant;

/// Size at which a frame is full.
const FULL: usize = 64 * 1024;
/// Time between two frames that are not full; the first of a burst goes at once.
const INTERVAL: Duration = Duration::from_millis(2);

/// Bytes seen on each channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) stdout: u64,
    pub(super) stderr: u64,
    pub(super) terminal: u64,
}

impl Totals {
    fn of(&mut self, channel: OutputChannel) -> &mut u64 {
        match channel {
            OutputChannel::Stderr => &mut self.stderr,
            OutputChannel::Terminal => &mut self.terminal,
            OutputChannel::Stdout | OutputChannel::Unspecified => &mut self.stdout,
        }
    }
}

/// The frame being filled, and the offsets of all channels.
#[derive(Debug, Default)]
pub(super) struct Frames {
    channel: OutputChannel,
    held: Held,
    totals: Totals,
    last: Option<Instant>,
}

/// One large read is passed on as it is; only small ones are copied together.
#[derive(Debug, Default)]
enum Held {
    #[default]
    Nothing,
    One(Bytes),
    Many(BytesMut),
}

impl Frames {
    /// Adds bytes; answers with a frame that has to go first, if adding made one complete.
    pub(super) fn add(&mut self, channel: OutputChannel, data: Bytes) -> Option<OutputChunk> {
        let complete = if self.channel == channel && self.size() + data.len() <= FULL {
            None
        } else {
            self.take()
        };
        self.channel = channel;
        self.held = match std::mem::take(&mut self.held) {
            Held::Nothing => Held::One(data),
            Held::One(first) => {
                let mut joined = BytesMut::with_capacity(FULL);
                joined.extend_from_slice(&first);
                joined.extend_from_slice(&data);
                Held::Many(joined)
            }
            Held::Many(mut joined) => {
                joined.extend_from_slice(&data);
                Held::Many(joined)
            }
        };
        complete
    }

    /// When what is held has to go, if anything is.
    pub(super) fn due(&self) -> Option<Instant> {
        match self.size() {
            0 => None,
            size if size >= FULL => Some(Instant::now()),
            _ => Some(self.last.map_or_else(Instant::now, |last| last + INTERVAL)),
        }
    }

    /// What is held, as a frame.
    pub(super) fn take(&mut self) -> Option<OutputChunk> {
        let data = match std::mem::take(&mut self.held) {
            Held::Nothing => return None,
            Held::One(data) => data,
            Held::Many(data) => data.freeze(),
        };
        let offset = *self.totals.of(self.channel);
        *self.totals.of(self.channel) += data.len() as u64;
        self.last = Some(Instant::now());
        Some(OutputChunk {
            channel: self.channel.into(),
            offset,
            data,
        })
    }

    /// Bytes taken so far on each channel.
    pub(super) const fn totals(&self) -> Totals {
        self.totals
    }

    fn size(&self) -> usize {
        match &self.held {
            Held::Nothing => 0,
            Held::One(data) => data.len(),
            Held::Many(data) => data.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn frames_of_a_channel_follow_each_other_without_a_hole() {
        let mut frames = Frames::default();
        let mut sent = Vec::new();
        for line in 0..100_000u32 {
            let channel = if line % 1000 == 0 {
                OutputChannel::Stderr
            } else {
                OutputChannel::Stdout
            };
            sent.extend(frames.add(channel, Bytes::from(format!("{line:07}\n"))));
        }
        sent.extend(frames.take());
        let mut totals = Totals::default();
        for chunk in &sent {
            let seen = totals.of(chunk.channel());
            assert_eq!(chunk.offset, *seen);
            *seen += chunk.data.len() as u64;
            assert!(chunk.data.len() <= FULL);
        }
        assert_eq!(totals, frames.totals());
        assert_eq!(totals.stdout + totals.stderr, 800_000);
        assert!(sent.len() < 250, "{} frames", sent.len());
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_of_a_burst_is_due_at_once_and_the_next_soon() {
        let mut frames = Frames::default();
        assert_eq!(frames.due(), None);
        assert!(
            frames
                .add(OutputChannel::Stdout, Bytes::from_static(b"$ "))
                .is_none()
        );
        assert_eq!(frames.due(), Some(Instant::now()));
        frames.take();
        frames.add(OutputChannel::Stdout, Bytes::from_static(b"x"));
        assert_eq!(frames.due(), Some(Instant::now() + INTERVAL));
    }
}
