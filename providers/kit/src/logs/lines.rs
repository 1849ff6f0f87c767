//! Cuts the bytes of one channel into lines.

use bytes::{Bytes, BytesMut};

/// Longest line in one entry, in bytes.
pub(super) const LONGEST: usize = 64 * 1024;

/// One channel of one execution.
#[derive(Debug, Default)]
pub(super) struct Lines {
    rest: BytesMut,
    /// Place of the first byte of `rest`.
    offset: u64,
    /// The first line was begun before what is read.
    inside: bool,
}

/// A line without its end, and the place after it.
pub(super) type Line = (Bytes, u64);

impl Lines {
    /// Begins at this place; `inside`: what comes up to the next end is not a whole line.
    pub(super) fn new(offset: u64, inside: bool) -> Self {
        Self {
            rest: BytesMut::new(),
            offset,
            inside,
        }
    }

    /// The place after the last line given out.
    pub(super) const fn offset(&self) -> u64 {
        self.offset
    }

    /// Adds bytes, and gives out the lines that they end.
    pub(super) fn push(&mut self, data: &[u8]) -> Vec<Line> {
        self.rest.extend_from_slice(data);
        let mut lines = Vec::new();
        let mut looked_at = self.rest.len() - data.len();
        loop {
            let end = self.rest[looked_at..]
                .iter()
                .position(|byte| *byte == b'\n');
            let (size, skip) = match end.map(|end| looked_at + end) {
                Some(size) if size <= LONGEST => (size, 1),
                None if self.rest.len() <= LONGEST => return lines,
                _ => (LONGEST, 0),
            };
            looked_at = 0;
            lines.extend(self.cut(size, skip));
        }
    }

    /// The channel is over, or goes on elsewhere: what is left is a line too.
    pub(super) fn finish(&mut self) -> Option<Line> {
        if self.rest.is_empty() {
            return None;
        }
        self.cut(self.rest.len(), 0)
    }

    fn cut(&mut self, size: usize, skip: usize) -> Option<Line> {
        let taken = self.rest.split_to(size + skip).freeze();
        self.offset += taken.len() as u64;
        let partial = self.inside;
        if skip > 0 {
            self.inside = false;
        }
        let line = &taken[..size];
        let line = if skip > 0 {
            line.strip_suffix(b"\r").unwrap_or(line)
        } else {
            line
        };
        (!partial).then(|| (taken.slice_ref(line), self.offset))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// However it comes, the same lines come out, and their places lead on.
        #[test]
        fn cuts_do_not_matter(text in "[a-c\n]{0,200}", cut in 1usize..20) {
            let mut lines = Lines::new(5, false);
            let mut seen = Vec::new();
            for piece in text.as_bytes().chunks(cut) {
                seen.extend(lines.push(piece));
            }
            seen.extend(lines.finish());
            let expected: Vec<&str> = text.split_terminator('\n').collect();
            let found: Vec<_> = seen.iter().map(|(line, _)| line.as_ref()).collect();
            prop_assert_eq!(found, expected.iter().map(|line| line.as_bytes()).collect::<Vec<_>>());
            prop_assert_eq!(lines.offset(), 5 + text.len() as u64);
        }
    }

    #[test]
    fn long_lines_come_in_parts_and_a_begun_one_not_at_all() {
        let mut lines = Lines::new(0, false);
        let parts = lines.push(&[b"x".repeat(LONGEST + 10), b"\r\ny".to_vec()].concat());
        let sizes: Vec<_> = parts.iter().map(|(line, _)| line.len()).collect();
        assert_eq!(sizes, [LONGEST, 10]);
        let mut lines = Lines::new(0, true);
        let whole = lines.push(b"rest\nwhole\n");
        assert_eq!(whole, [(Bytes::from_static(b"whole"), 11)]);
    }
}
