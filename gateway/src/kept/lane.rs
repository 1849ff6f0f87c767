//! One channel of an execution that is over: the last of its output, and the plain word for the rest.

use bytes::Bytes;
use sandgate_proto::v1::{OutputChannel, OutputChunk, OutputGap, stream_execution_response::Event};

/// Output that is kept of a channel.
const TAIL: usize = 64 * 1024;
/// Bytes of one chunk, at most.
const CHUNK: usize = 64 * 1024;
/// Why bytes that the process wrote cannot be had any more.
const GONE: &str = "SANDBOX_GONE";
/// Why bytes that are there are left out.
const OVER_LIMIT: &str = "OUTPUT_LIMIT";

/// A channel.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Lane {
    channel: OutputChannel,
    /// Bytes that the process wrote.
    total: u64,
    /// Place of the first byte that is kept.
    start: u64,
    data: Bytes,
}

impl Lane {
    /// With the last of the channel, as far as `tail` has it; never more than there was.
    pub(super) fn new(channel: OutputChannel, total: u64, tail: Option<&OutputChunk>) -> Self {
        let (start, data) =
            tail.filter(|tail| tail.offset < total)
                .map_or((total, Bytes::new()), |tail| {
                    let room = usize::try_from(total - tail.offset).unwrap_or(usize::MAX);
                    let data = tail.data.slice(..tail.data.len().min(room));
                    let cut = data.len().saturating_sub(TAIL);
                    (tail.offset + cut as u64, data.slice(cut..))
                });
        Self {
            channel,
            total,
            start,
            data,
        }
    }

    pub(super) fn channel(&self) -> OutputChannel {
        self.channel
    }

    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Whether some bytes are kept nowhere.
    pub(super) fn lacks_something(&self) -> bool {
        (self.data.len() as u64) < self.total
    }

    /// What is kept; none where nothing is.
    pub(super) fn chunk(&self) -> Option<OutputChunk> {
        (!self.data.is_empty()).then(|| self.chunk_of(self.start, self.data.clone()))
    }

    /// What a stream sends from this offset on, which lies in the output or at its end.
    pub(super) fn events(&self, offset: u64) -> Vec<Event> {
        let mut events = Vec::new();
        let gap = |from: u64, to: u64| (from < to).then(|| Event::Gap(self.gap(from, to, GONE)));
        let (start, end) = (self.start, self.end());
        events.extend(gap(offset, start));
        let mut at = offset.clamp(start, end);
        // Cannot be more than is kept.
        let mut data = self.data.slice((at - start) as usize..);
        while !data.is_empty() {
            let chunk = data.split_to(data.len().min(CHUNK));
            let next = at + chunk.len() as u64;
            events.push(Event::Output(self.chunk_of(at, chunk)));
            at = next;
        }
        events.extend(gap(offset.max(end), self.total));
        events
    }

    /// At most so many bytes from the beginning and from the end, joined, and what is missing.
    /// Where the beginning is gone, its share goes to the end.
    pub(super) fn cut(&self, head: usize, tail: usize) -> (Bytes, Vec<OutputGap>) {
        let (head, tail) = match self.start {
            0 => (head, tail),
            _ => (0, head.saturating_add(tail)),
        };
        let size = self.data.len();
        let (begin, resume) = (head.min(size), size.saturating_sub(tail));
        let place = |at: usize| self.start + at as u64;
        let (bytes, left_out) = if resume > begin {
            let joined = [&self.data[..begin], &self.data[resume..]].concat();
            (joined.into(), (place(begin), place(resume)))
        } else {
            (self.data.clone(), (self.start, self.start))
        };
        let gaps = [
            (0, self.start, GONE),
            (left_out.0, left_out.1, OVER_LIMIT),
            (self.end(), self.total, GONE),
        ];
        let gaps = gaps.into_iter().filter(|(from, to, _)| from < to);
        let gaps = gaps.map(|(from, to, reason)| self.gap(from, to, reason));
        (bytes, gaps.collect())
    }

    /// The byte behind what is kept.
    fn end(&self) -> u64 {
        self.start + self.data.len() as u64
    }

    fn chunk_of(&self, offset: u64, data: Bytes) -> OutputChunk {
        OutputChunk {
            channel: self.channel.into(),
            offset,
            data,
        }
    }

    fn gap(&self, start_offset: u64, end_offset: u64, reason: &str) -> OutputGap {
        OutputGap {
            channel: self.channel.into(),
            start_offset,
            end_offset,
            reason: reason.to_owned(),
        }
    }
}
