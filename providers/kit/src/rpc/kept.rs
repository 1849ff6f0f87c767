//! What is kept of one channel that may be longer than wanted: its first part and its last.

use std::collections::VecDeque;

use bytes::Bytes;
use sandgate_proto::v1::{OutputChannel, OutputGap};

/// Gaps of the output itself that are told with their own reason.
const GAPS: usize = 64;
/// Why the kit left bytes out.
const OVER_LIMIT: &str = "OUTPUT_LIMIT";

/// One channel, in bounded memory.
#[derive(Debug)]
pub(super) struct Kept {
    head: Vec<u8>,
    head_limit: usize,
    /// The last bytes, and which stretches of the channel they are.
    tail: VecDeque<u8>,
    tail_limit: usize,
    stretches: VecDeque<(u64, u64)>,
    gaps: Vec<(u64, u64, String)>,
    next: u64,
}

impl Kept {
    /// Keeps `head` first bytes and `tail` last ones.
    pub(super) fn new(head: usize, tail: usize) -> Self {
        Self {
            head: Vec::new(),
            head_limit: head,
            tail: VecDeque::new(),
            tail_limit: tail,
            stretches: VecDeque::new(),
            gaps: Vec::new(),
            next: 0,
        }
    }

    /// Adds bytes that go on where the last ones, or the last gap, ended.
    pub(super) fn output(&mut self, data: &[u8]) {
        let mut data = data;
        if self.head.len() as u64 == self.next {
            let (head, rest) = data.split_at(data.len().min(self.head_limit - self.head.len()));
            self.head.extend_from_slice(head);
            self.next += head.len() as u64;
            data = rest;
        }
        if data.is_empty() {
            return;
        }
        let start = self.next;
        self.next += data.len() as u64;
        match self.stretches.back_mut() {
            Some((from, size)) if *from + *size == start => *size += data.len() as u64,
            _ => self.stretches.push_back((start, data.len() as u64)),
        }
        self.tail.extend(data);
        self.trim();
    }

    /// Adds bytes that cannot be had.
    pub(super) fn gap(&mut self, end: u64, reason: String) {
        if self.gaps.len() < GAPS {
            self.gaps.push((self.next, end, reason));
        }
        self.next = end;
    }

    fn trim(&mut self) {
        let mut over = self.tail.len().saturating_sub(self.tail_limit);
        self.tail.drain(..over);
        while over > 0 {
            let Some((from, size)) = self.stretches.front_mut() else {
                return;
            };
            let cut = over.min(usize::try_from(*size).unwrap_or(usize::MAX));
            *from += cut as u64;
            *size -= cut as u64;
            over -= cut;
            if *size == 0 {
                self.stretches.pop_front();
            }
        }
    }

    /// What was kept.
    pub(super) fn bytes(self) -> Vec<u8> {
        let mut bytes = self.head;
        bytes.extend(self.tail);
        bytes
    }

    /// What was kept, and what is missing between and around it.
    pub(super) fn finish(self, channel: OutputChannel) -> (Bytes, Vec<OutputGap>) {
        let mut missing = Vec::new();
        let mut at = self.head.len() as u64;
        for &(from, size) in &self.stretches {
            missing.push((at, from));
            at = from + size;
        }
        missing.push((at, self.next));
        let gaps = missing
            .into_iter()
            .filter(|(from, to)| from < to)
            .map(|(from, to)| {
                let own = |gap: &&(u64, u64, String)| (gap.0, gap.1) == (from, to);
                let known = self.gaps.iter().find(own);
                OutputGap {
                    channel: channel.into(),
                    start_offset: from,
                    end_offset: to,
                    reason: known.map_or_else(|| OVER_LIMIT.to_owned(), |gap| gap.2.clone()),
                }
            })
            .collect();
        (self.bytes().into(), gaps)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// What is kept and what is said to be missing make up the whole channel; the memory is
        /// bounded, and the first and the last bytes are there.
        #[test]
        fn nothing_is_lost_unsaid(
            pieces in prop::collection::vec((any::<bool>(), 1usize..50), 0..40),
            (head, tail) in (0usize..60, 0usize..60),
        ) {
            let mut kept = Kept::new(head, tail);
            let mut channel: Vec<Option<u8>> = Vec::new();
            for (gap, size) in pieces {
                if gap {
                    channel.extend(std::iter::repeat_n(None, size));
                    kept.gap(channel.len() as u64, "DISK_FULL".into());
                } else {
                    let data: Vec<u8> = (0..size).map(|place| (channel.len() + place) as u8).collect();
                    channel.extend(data.iter().copied().map(Some));
                    kept.output(&data);
                }
            }
            let (bytes, gaps) = kept.finish(OutputChannel::Stdout);
            prop_assert!(bytes.len() <= head + tail);
            let mut missing = vec![false; channel.len()];
            for gap in gaps {
                prop_assert!(gap.start_offset < gap.end_offset);
                missing[gap.start_offset as usize..gap.end_offset as usize].fill(true);
            }
            let there: Option<Vec<u8>> = channel.iter().zip(&missing)
                .filter(|(_, missing)| !**missing).map(|(byte, _)| *byte).collect();
            prop_assert_eq!(there, Some(bytes.to_vec()));
        }
    }

    #[test]
    fn head_and_tail_join_where_all_fits() {
        let mut kept = Kept::new(4, 4);
        kept.output(b"abc");
        kept.output(b"defgh");
        let (bytes, gaps) = kept.finish(OutputChannel::Stdout);
        assert_eq!(&bytes[..], b"abcdefgh");
        assert!(gaps.is_empty());
    }
}
