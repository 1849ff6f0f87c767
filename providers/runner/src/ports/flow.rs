//! One direction of a connection: bytes from one side to the other, and then its end.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::{
    io::Errno,
    net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown},
};

/// Reads in a row before others have their turn.
const ROUNDS: usize = 16;

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moved {
    /// Nothing more can be done for now.
    Waits,
    /// There may be more.
    More,
    /// All came over, and the other side knows.
    Ended,
    /// The connection is broken.
    Broken,
}

/// One direction.
#[derive(Default)]
pub(super) struct Flow {
    /// Read, and not yet taken by the other side: at most what is read at once.
    held: Vec<u8>,
    /// How much of that is.
    taken: usize,
    at_end: bool,
    is_over: bool,
}

impl Flow {
    /// Begins with these bytes.
    pub(super) fn begin(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// Moves what can be moved; true besides: bytes came.
    pub(super) fn go_on(
        &mut self,
        from: impl AsFd,
        to: impl AsFd,
        scratch: &mut [u8],
    ) -> (Moved, bool) {
        let (from, to) = (from.as_fd(), to.as_fd());
        let mut came = false;
        for _ in 0..ROUNDS {
            match self.flush(to) {
                Ok(true) => {}
                Ok(false) => return (Moved::Waits, came),
                Err(_) => return (Moved::Broken, came),
            }
            if self.at_end {
                return (self.end(to), came);
            }
            match recv(from, &mut scratch[..], RecvFlags::empty()) {
                Ok((0, _)) => self.at_end = true,
                Ok((size, _)) => {
                    came = true;
                    match write(to, &scratch[..size]) {
                        Ok(written) => self.held.extend_from_slice(&scratch[written..size]),
                        Err(_) => return (Moved::Broken, came),
                    }
                }
                Err(Errno::AGAIN) => return (Moved::Waits, came),
                Err(Errno::INTR) => {}
                Err(_) => return (Moved::Broken, came),
            }
        }
        (Moved::More, came)
    }

    /// Writes what is held; whether all of it could be.
    fn flush(&mut self, to: BorrowedFd<'_>) -> Result<bool, Errno> {
        self.taken += write(to, &self.held[self.taken..])?;
        if self.taken < self.held.len() {
            return Ok(false);
        }
        // Room is taken only while somebody is slow.
        (self.held, self.taken) = (Vec::new(), 0);
        Ok(true)
    }

    fn end(&mut self, to: BorrowedFd<'_>) -> Moved {
        if !self.is_over {
            self.is_over = true;
            // Fails where the other side has gone, which its own direction tells.
            let _ = shutdown(to, Shutdown::Write);
        }
        Moved::Ended
    }
}

/// Writes as much as there is room for.
fn write(to: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize, Errno> {
    let mut written = 0;
    while written < bytes.len() {
        match send(to, &bytes[written..], SendFlags::NOSIGNAL) {
            Ok(size) => written += size,
            Err(Errno::AGAIN) => break,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(written)
}
