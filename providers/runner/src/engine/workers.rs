//! Workers on files that live: how many there are, and when one of them last used the sandbox.

use std::{collections::BTreeMap, io, os::fd::OwnedFd, time::Instant};

use rustix::{
    io::Errno,
    pipe::{PipeFlags, pipe_with},
};
use sandgate_runner_proto::v1::Refused;

use super::Engine;
use crate::{
    answer::refused,
    poller::{Interest, Poller, Token},
};

/// Most at once.
const MOST: usize = 128;

/// A worker, by the end of the pipe that it holds.
struct Live {
    life: OwnedFd,
    /// It only looks.
    looks: bool,
}

/// All of them, by number.
#[derive(Default)]
pub(super) struct Workers {
    live: BTreeMap<u64, Live>,
    newest: u64,
}

impl Workers {
    /// Whether there may be one more.
    pub(super) fn check_room(&self) -> Result<(), Refused> {
        if self.live.len() < MOST {
            return Ok(());
        }
        Err(refused(
            "TOO_MANY_FILE_CALLS",
            "128 calls work on files; wait until some end",
        ))
    }

    /// Counts one more; what it is to hold.
    pub(super) fn begin(&mut self, poller: &Poller, looks: bool) -> io::Result<OwnedFd> {
        let (life, held) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        self.newest += 1;
        poller.add(&life, Token::Worker(self.newest), Interest::READ)?;
        self.live.insert(self.newest, Live { life, looks });
        Ok(held)
    }
}

impl Engine {
    /// A worker has said that it works or that bytes flow, or is over.
    pub(super) fn hear_worker(&mut self, number: u64) {
        let Some(worker) = self.workers.live.get(&number) else {
            return;
        };
        let heard = rustix::io::read(&worker.life, &mut self.scratch[..]);
        if matches!(heard, Err(Errno::AGAIN | Errno::INTR)) {
            return;
        }
        if !worker.looks {
            self.activity = Instant::now();
        }
        if !matches!(heard, Ok(1..)) {
            self.poller.remove(&worker.life);
            self.workers.live.remove(&number);
        }
    }
}
