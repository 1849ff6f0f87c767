//! The stream of an attached exec: frames of one channel each, behind a head of eight bytes.

/// Bytes of a frame's head: the channel, three of nothing, the length.
const HEAD: usize = 8;
const STDOUT: u8 = 1;

/// Counts what is in the frames, whichever way they are cut.
#[derive(Debug, Default)]
pub(super) struct Frames {
    head: Vec<u8>,
    /// Bytes of the present frame that are still to come.
    left: usize,
    /// Bytes of standard output so far.
    pub(super) stdout: u64,
}

impl Frames {
    /// Takes the next bytes of the stream.
    pub(super) fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.left == 0 {
                let missing = HEAD - self.head.len();
                let (head, rest) = bytes.split_at(missing.min(bytes.len()));
                self.head.extend_from_slice(head);
                bytes = rest;
                if let [channel, _, _, _, length @ ..] = self.head.as_slice()
                    && let Ok(length) = <[u8; 4]>::try_from(length)
                {
                    self.left = u32::from_be_bytes(length) as usize;
                    if *channel == STDOUT {
                        self.stdout += self.left as u64;
                    }
                    self.head.clear();
                }
                continue;
            }
            let part = self.left.min(bytes.len());
            self.left -= part;
            bytes = &bytes[part..];
        }
    }

    /// Whether the stream may end here.
    pub(super) fn whole(&self) -> bool {
        self.left == 0 && self.head.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] =
        b"\x01\0\0\0\0\0\0\x03abc\x02\0\0\0\0\0\0\x02no\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\x01d";

    #[test]
    fn output_is_counted_however_it_is_cut() {
        for size in 1..=STREAM.len() {
            let mut frames = Frames::default();
            for piece in STREAM.chunks(size) {
                frames.take(piece);
            }
            assert_eq!((frames.stdout, frames.whole()), (4, true), "{size}");
        }
    }

    #[test]
    fn a_stream_that_breaks_off_is_not_whole() {
        for end in [4, 10] {
            let mut frames = Frames::default();
            frames.take(&STREAM[..end]);
            assert!(!frames.whole());
        }
    }
}
