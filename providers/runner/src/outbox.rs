//! What waits to be written to a connection: answers first, then output, both bounded.

use std::{collections::VecDeque, io, os::fd::AsFd};

use bytes::{Buf as _, Bytes, BytesMut};
use prost::Message as _;
use rustix::io::Errno;
use sandgate_runner_proto::{put_frame, v1::FromRunner};

/// No more output is taken past this many bytes.
const OUTPUT: usize = 512 * 1024;
/// No more requests are read past this many bytes of answers.
const ANSWERS: usize = 1 << 20;
/// Small frames share a buffer of this size, and so a write.
const SHARED: usize = 64 * 1024;
/// Most bytes of a frame's length.
const LENGTH: usize = 4;

/// Whole frames, and what is left of the buffer that is being written.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    current: Bytes,
    answers: BytesMut,
    output: VecDeque<BytesMut>,
    output_bytes: usize,
}

impl Outbox {
    /// Adds an answer, to be written before any output that waits.
    pub(crate) fn answer(&mut self, frame: &FromRunner) {
        put_frame(frame, &mut self.answers);
    }

    /// Adds output, or what must come after it.
    pub(crate) fn output(&mut self, frame: &FromRunner) {
        let size = frame.encoded_len() + LENGTH;
        if self
            .output
            .back()
            .is_none_or(|last| last.len() + size > SHARED)
        {
            self.output.push_back(BytesMut::with_capacity(size));
        }
        if let Some(last) = self.output.back_mut() {
            let before = last.len();
            put_frame(frame, last);
            self.output_bytes += last.len() - before;
        }
    }

    /// Whether more output may be added.
    pub(crate) fn has_room(&self) -> bool {
        self.output_bytes < OUTPUT
    }

    /// Whether so many answers wait that no request should be read.
    pub(crate) fn is_clogged(&self) -> bool {
        self.answers.len() > ANSWERS
    }

    /// Whether all is written.
    pub(crate) fn is_empty(&self) -> bool {
        self.current.is_empty() && self.answers.is_empty() && self.output.is_empty()
    }

    /// Writes what the other side takes. Says how much.
    pub(crate) fn flush(&mut self, fd: impl AsFd) -> io::Result<usize> {
        let mut written = 0;
        while self.refill() {
            match rustix::io::write(&fd, &self.current) {
                Ok(size) => {
                    self.current.advance(size);
                    written += size;
                }
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(written)
    }

    /// Takes up the next buffer when one is done. False: there is nothing left.
    fn refill(&mut self) -> bool {
        if !self.current.is_empty() {
            return true;
        }
        if !self.answers.is_empty() {
            self.current = self.answers.split().freeze();
        } else if let Some(next) = self.output.pop_front() {
            self.output_bytes -= next.len();
            self.current = next.freeze();
        } else {
            self.current = Bytes::new();
            return false;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Read as _, os::unix::net::UnixStream};

    use sandgate_runner_proto::{
        FrameReader,
        v1::{Done, Output, from_runner::Body},
    };

    use super::*;
    use crate::answer::frame;

    #[test]
    fn answers_overtake_output_at_frame_borders() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let mut outbox = Outbox::default();
        for _ in 0..16 {
            let data = Bytes::from(vec![7; 100_000]);
            outbox.output(&frame(
                1,
                Body::Output(Output {
                    channel: 1,
                    offset: 0,
                    data,
                }),
            ));
        }
        assert!(!outbox.has_room());
        assert!(outbox.flush(&ours).unwrap() > 0);
        outbox.answer(&frame(2, Body::Done(Done { delivered: true })));
        let (mut reader, mut calls, mut buffer) =
            (FrameReader::new(512 * 1024), Vec::new(), [0; 65536]);
        while !outbox.is_empty() {
            let size = theirs.read(&mut buffer).unwrap();
            reader.buffer().extend_from_slice(&buffer[..size]);
            while let Some(frame) = reader.next::<FromRunner>().unwrap() {
                calls.push(frame.call);
            }
            outbox.flush(&ours).unwrap();
        }
        let place = calls.iter().position(|call| *call == 2).unwrap();
        assert!(place < 8, "{calls:?}");
        drop(outbox);
    }
}
