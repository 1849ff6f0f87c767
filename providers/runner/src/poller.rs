//! Which descriptors are ready: epoll with typed tokens.

use std::{io, os::fd::AsFd, os::fd::OwnedFd, time::Duration};

use rustix::{
    event::{Timespec, epoll},
    io::Errno,
};

/// What a descriptor is to the runner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// Signals to the runner.
    Signals,
    /// Something from the spawner threads.
    Spawned,
    /// A new connection.
    Listener,
    /// A connection, by its number.
    Connection(u64),
    /// A channel of output: number of the execution, and which of its channels.
    Output(u64, u8),
    /// Input of an execution.
    Input(u64),
    /// A pipe that the processes left behind by an execution still hold.
    Leftover(u64),
    /// What a worker on files holds as long as it lives; numbers begin with 1.
    Worker(u64),
}

impl Token {
    fn pack(self) -> u64 {
        match self {
            Self::Signals => 0,
            Self::Spawned => 1,
            Self::Listener => 2,
            Self::Worker(number) => number << 3 | 2,
            Self::Connection(number) => number << 3 | 3,
            Self::Output(number, 0) => number << 3 | 4,
            Self::Output(number, _) => number << 3 | 5,
            Self::Input(number) => number << 3 | 6,
            Self::Leftover(number) => number << 3 | 7,
        }
    }

    fn unpack(packed: u64) -> Self {
        let number = packed >> 3;
        match packed & 7 {
            0 => Self::Signals,
            1 => Self::Spawned,
            2 if number == 0 => Self::Listener,
            2 => Self::Worker(number),
            3 => Self::Connection(number),
            4 => Self::Output(number, 0),
            5 => Self::Output(number, 1),
            6 => Self::Input(number),
            _ => Self::Leftover(number),
        }
    }
}

/// What to wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interest {
    /// Something can be read.
    pub(crate) read: bool,
    /// There is room to write.
    pub(crate) write: bool,
}

impl Interest {
    /// To read only.
    pub(crate) const READ: Self = Self {
        read: true,
        write: false,
    };
    /// To write only.
    pub(crate) const WRITE: Self = Self {
        read: false,
        write: true,
    };

    fn flags(self) -> epoll::EventFlags {
        let mut flags = epoll::EventFlags::empty();
        flags.set(epoll::EventFlags::IN, self.read);
        flags.set(epoll::EventFlags::OUT, self.write);
        flags
    }
}

/// A descriptor that is ready.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ready {
    /// Which.
    pub(crate) token: Token,
    /// The other side is gone, or the descriptor is broken.
    pub(crate) hung_up: bool,
}

/// Waits for descriptors.
pub(crate) struct Poller {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
}

impl Poller {
    /// Without any descriptor.
    pub(crate) fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Self {
            epoll,
            events: Vec::with_capacity(256),
        })
    }

    /// Begins to watch; closing the descriptor ends it. False: a plain file, always ready.
    pub(crate) fn add(&self, fd: impl AsFd, token: Token, interest: Interest) -> io::Result<bool> {
        let data = epoll::EventData::new_u64(token.pack());
        match epoll::add(&self.epoll, fd, data, interest.flags()) {
            Ok(()) => Ok(true),
            Err(Errno::PERM) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Changes what is waited for.
    pub(crate) fn change(&self, fd: impl AsFd, token: Token, interest: Interest) {
        let data = epoll::EventData::new_u64(token.pack());
        // Fails only for what was never added, where there is nothing to wait for.
        let _ = epoll::modify(&self.epoll, fd, data, interest.flags());
    }

    /// Ends watching of a descriptor that lives on.
    pub(crate) fn remove(&self, fd: impl AsFd) {
        // Fails only for what was never added.
        let _ = epoll::delete(&self.epoll, fd);
    }

    /// Waits for at most so long; none: without end.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>) -> io::Result<Vec<Ready>> {
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: timeout.as_secs().min(1 << 20).cast_signed(),
            tv_nsec: timeout.subsec_nanos().into(),
        });
        self.events.clear();
        let spare = rustix::buffer::spare_capacity(&mut self.events);
        match epoll::wait(&self.epoll, spare, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let broken = epoll::EventFlags::HUP | epoll::EventFlags::ERR;
        let ready = self.events.iter().map(|event| Ready {
            token: Token::unpack(event.data.u64()),
            hung_up: { event.flags }.intersects(broken),
        });
        Ok(ready.collect())
    }
}
