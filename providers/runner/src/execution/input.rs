//! Standard input of an execution: a bounded buffer, idempotent by offset.

use std::{
    collections::VecDeque,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{io::Errno, termios::SpecialCodeIndex};
use sandgate_runner_proto::v1::{Channel, Refused};

use crate::answer::{out_of_range, refused};

/// What may wait to be written, besides what came with Start.
const BUFFER: usize = 1 << 20;

/// Standard input.
#[derive(Debug)]
pub(crate) struct Input {
    buffer: VecDeque<u8>,
    limit: usize,
    accepted: u64,
    /// It was open when the execution began.
    was_open: bool,
    /// No bytes will follow those in the buffer.
    at_end: bool,
    /// The process reads no more.
    is_broken: bool,
    /// Nothing is to be written any more.
    is_done: bool,
    fd: Option<OwnedFd>,
    is_terminal: bool,
}

impl Input {
    /// Begins with these bytes.
    pub(crate) fn new(first: &[u8], open: bool) -> Self {
        Self {
            buffer: first.iter().copied().collect(),
            limit: BUFFER + first.len(),
            accepted: first.len() as u64,
            was_open: open,
            at_end: !open,
            is_broken: false,
            is_done: false,
            fd: None,
            is_terminal: false,
        }
    }

    /// Gives the process's end; what waits can now be written.
    pub(crate) fn connect(&mut self, fd: Option<OwnedFd>, is_terminal: bool) {
        self.fd = fd;
        self.is_terminal = is_terminal;
    }

    /// Where it is written to.
    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.fd.as_ref().map(AsFd::as_fd)
    }

    /// Whether more bytes are taken.
    pub(crate) fn is_open(&self) -> bool {
        !self.at_end && !self.is_broken
    }

    /// Bytes accepted so far.
    pub(crate) fn accepted(&self) -> u64 {
        self.accepted
    }

    /// Whether all of a write was taken before, so that it is answered now as it was then.
    pub(crate) fn has_taken(&self, offset: u64, data: &[u8], eof: bool) -> bool {
        let end = offset.saturating_add(data.len() as u64);
        let is_known = end <= self.accepted && (self.at_end || !eof);
        self.was_open && !self.is_broken && is_known
    }

    /// Takes what is new and fits; says up to where bytes are accepted now. The end counts only
    /// once all bytes before it are accepted.
    pub(crate) fn accept(&mut self, offset: u64, data: &[u8], eof: bool) -> Result<u64, Refused> {
        if !self.was_open {
            return Err(closed(
                "input was not asked for; start with stdin_open to write it",
            ));
        }
        if offset > self.accepted {
            return Err(out_of_range(self.accepted, Channel::Unspecified));
        }
        let known = usize::try_from(self.accepted - offset).unwrap_or(usize::MAX);
        let new = data.get(known..).unwrap_or_default();
        if !self.is_open() {
            // A repeated write that was taken before is answered as it was then.
            return if new.is_empty() && !self.is_broken {
                Ok(self.accepted)
            } else {
                Err(closed(
                    "input is closed, or the process reads no more of it",
                ))
            };
        }
        let fits = new.len().min(self.limit.saturating_sub(self.buffer.len()));
        self.buffer.extend(&new[..fits]);
        self.accepted += fits as u64;
        self.at_end = eof && fits == new.len();
        Ok(self.accepted)
    }

    /// Whether it is to be closed now.
    pub(crate) fn is_done(&self) -> bool {
        self.is_done
    }

    /// Writes what the process takes now. True: it takes no more at the moment.
    pub(crate) fn write(&mut self) -> bool {
        while let (Some(fd), false) = (&self.fd, self.is_done) {
            let (front, _) = self.buffer.as_slices();
            if front.is_empty() {
                return self.finish();
            }
            match rustix::io::write(fd, front) {
                Ok(size) => drop(self.buffer.drain(..size)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return true,
                Err(_) => {
                    self.is_broken = true;
                    self.is_done = true;
                }
            }
        }
        false
    }

    /// Closes it; the rest is thrown away.
    pub(crate) fn close(&mut self) {
        self.buffer = VecDeque::new();
        self.fd = None;
    }

    /// Nothing waits to be written: ends what is at its end. True: that could not be done yet.
    fn finish(&mut self) -> bool {
        if !self.at_end {
            return false;
        }
        if let (true, Some(fd)) = (self.is_terminal, &self.fd) {
            let end = rustix::termios::tcgetattr(fd)
                .map_or(4, |modes| modes.special_codes[SpecialCodeIndex::VEOF]);
            if rustix::io::write(fd, &[end]) == Err(Errno::AGAIN) {
                return true;
            }
        }
        self.is_done = true;
        false
    }
}

fn closed(message: &str) -> Refused {
    refused("STDIN_CLOSED", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_make_writes_idempotent() {
        let mut input = Input::new(b"abc", true);
        assert_eq!(input.accept(3, b"def", false), Ok(6));
        assert_eq!(input.accept(3, b"def", false), Ok(6));
        assert_eq!(input.accept(5, b"fgh", false), Ok(8));
        let refused = input.accept(9, b"x", false).unwrap_err();
        assert_eq!(
            (refused.reason.as_str(), refused.offset),
            ("OFFSET_OUT_OF_RANGE", 8)
        );
        assert_eq!(input.accept(8, b"", true), Ok(8));
        assert_eq!(input.accept(7, b"h", true), Ok(8));
        assert_eq!(
            input.accept(8, b"i", false).unwrap_err().reason,
            "STDIN_CLOSED"
        );
        assert_eq!(input.buffer, b"abcdefgh");
        assert!(input.has_taken(3, b"defgh", true) && input.has_taken(8, b"", true));
        assert!(!input.has_taken(8, b"i", true) && !input.has_taken(9, b"", false));
    }

    #[test]
    fn only_what_fits_is_taken_and_the_end_waits() {
        let mut input = Input::new(b"", true);
        assert_eq!(
            input.accept(0, &vec![1; BUFFER + 1], true),
            Ok(BUFFER as u64)
        );
        assert!(input.is_open());
        let mut input = Input::new(b"abc", false);
        assert_eq!(
            input.accept(0, b"abc", true).unwrap_err().reason,
            "STDIN_CLOSED"
        );
        assert!(!input.is_open() && !input.write());
    }
}
