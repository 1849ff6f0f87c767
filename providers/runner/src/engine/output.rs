//! Moves bytes: output of processes into their spools, input into the processes.

use std::os::fd::AsFd as _;

use rustix::io::Errno;

use super::Engine;
use crate::{
    execution::Phase,
    poller::{Interest, Token},
};

/// What a pipe can hold at most without privilege: all that a process can have left in it.
const PIPE: usize = 1 << 20;

/// What reading a source once came to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Read {
    /// So many bytes.
    Some(usize),
    /// None at the moment.
    Empty,
    /// There is no source any more.
    AtEnd,
}

impl Engine {
    /// A source has bytes, or is at its end.
    pub(super) fn read_output(&mut self, number: u64, lane: usize) {
        let read = self.read_once(number, lane);
        let over = self.executions.get(&number).is_some_and(|execution| {
            execution.phase == Phase::Reaped
                && execution.has_terminal()
                && execution.ending.is_none()
        });
        if read == Read::AtEnd && over {
            self.finish(number, None);
        }
    }

    /// Takes what the pipes of a process hold that is over. False: its terminal may hold more yet.
    pub(super) fn drain(&mut self, number: u64) -> bool {
        let Some(execution) = self.executions.get(&number) else {
            return true;
        };
        let (lanes, terminal) = (execution.lanes.len(), execution.has_terminal());
        for lane in 0..lanes {
            let mut taken = 0;
            while taken < PIPE {
                match self.read_once(number, lane) {
                    Read::Some(size) => taken += size,
                    Read::Empty if terminal => return false,
                    Read::Empty | Read::AtEnd => break,
                }
            }
        }
        true
    }

    fn read_once(&mut self, number: u64, lane: usize) -> Read {
        let execution = self.executions.get_mut(&number);
        let Some(lane_found) = execution.and_then(|execution| execution.lanes.get_mut(lane)) else {
            return Read::AtEnd;
        };
        let Some(source) = &lane_found.source else {
            return Read::AtEnd;
        };
        match rustix::io::read(source, &mut self.scratch[..]) {
            Ok(size @ 1..) => {
                self.append(number, lane, size);
                Read::Some(size)
            }
            Err(Errno::AGAIN | Errno::INTR) => Read::Empty,
            // A terminal whose other side is closed everywhere says EIO.
            Ok(0) | Err(_) => {
                self.poller.remove(source);
                lane_found.source = None;
                Read::AtEnd
            }
        }
    }

    /// Keeps the first `size` bytes of the scratch buffer.
    fn append(&mut self, number: u64, lane: usize, size: usize) {
        let execution = self.executions.get(&number);
        let growth = execution.map_or(0, |execution| {
            execution.lanes[lane].spool.growth(size as u64)
        });
        self.make_room(growth);
        if let Some(execution) = self.executions.get_mut(&number) {
            execution.lanes[lane]
                .spool
                .append(&self.scratch[..size], &mut self.budget);
        }
        self.wake(number);
        self.plan_state();
    }

    /// Writes what a process takes of its input.
    pub(super) fn write_input(&mut self, number: u64) {
        let Some(execution) = self.executions.get_mut(&number) else {
            return;
        };
        let input = &mut execution.input;
        let is_blocked = input.write();
        if let Some(fd) = input.fd() {
            if is_blocked {
                // Fails where it is watched already.
                let _ = self
                    .poller
                    .add(fd.as_fd(), Token::Input(number), Interest::WRITE);
            } else {
                self.poller.remove(fd);
            }
        }
        if input.is_done() {
            input.close();
        }
    }
}
