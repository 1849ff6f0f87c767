//! Pipes that background processes still hold after their execution is over: read and thrown away,
//! so that those do not die of writing.

use std::{collections::BTreeMap, os::fd::OwnedFd};

use rustix::io::Errno;

use crate::poller::{Interest, Poller, Token};

/// Most pipes; the oldest is closed for a new one.
const PIPES: usize = 256;

/// The pipes.
#[derive(Default)]
pub(crate) struct Leftovers {
    pipes: BTreeMap<u64, OwnedFd>,
    newest: u64,
}

impl Leftovers {
    /// Takes over a pipe, which is watched no more.
    pub(crate) fn add(&mut self, poller: &Poller, pipe: OwnedFd) {
        self.newest += 1;
        if poller
            .add(&pipe, Token::Leftover(self.newest), Interest::READ)
            .is_err()
        {
            return;
        }
        self.pipes.insert(self.newest, pipe);
        if self.pipes.len() > PIPES
            && let Some((_, oldest)) = self.pipes.pop_first()
        {
            poller.remove(&oldest);
        }
    }

    /// Throws away what is in a pipe, and the pipe at its end.
    pub(crate) fn discard(&mut self, poller: &Poller, number: u64, scratch: &mut [u8]) {
        let Some(pipe) = self.pipes.get(&number) else {
            return;
        };
        match rustix::io::read(pipe, scratch) {
            Ok(1..) | Err(Errno::AGAIN | Errno::INTR) => {}
            Ok(0) | Err(_) => {
                poller.remove(pipe);
                self.pipes.remove(&number);
            }
        }
    }
}
