//! Which ends of connections something happened to: each is told once when that changes.

use std::{io, os::fd::AsFd, os::fd::OwnedFd, time::Duration};

use rustix::{
    event::{Timespec, epoll},
    io::Errno,
};

/// Events that are taken at once.
const EVENTS: usize = 256;
/// Of the bell.
const BELL: u64 = u64::MAX;

/// Something happened.
pub(super) enum Happened {
    /// There are tickets.
    Bell,
    /// To a connection.
    Pair {
        /// Which.
        number: u64,
        /// The provider's side of it is closed altogether.
        is_left: bool,
    },
}

/// Waits for it.
pub(super) struct Watch(OwnedFd);

impl Watch {
    pub(super) fn new(bell: impl AsFd) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let data = epoll::EventData::new_u64(BELL);
        epoll::add(&epoll, bell, data, epoll::EventFlags::IN)?;
        Ok(Self(epoll))
    }

    /// Watches one side of a connection, until it is closed.
    pub(super) fn add(&self, number: u64, is_link: bool, fd: impl AsFd) -> io::Result<()> {
        use epoll::EventFlags as Flags;
        let data = epoll::EventData::new_u64(number << 1 | u64::from(is_link));
        // By edges: whoever is told goes on until nothing more can be done.
        let flags = Flags::IN | Flags::OUT | Flags::RDHUP | Flags::ET;
        Ok(epoll::add(&self.0, fd, data, flags)?)
    }

    pub(super) fn wait(&self, timeout: Option<Duration>) -> io::Result<Vec<Happened>> {
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: timeout.as_secs().cast_signed(),
            tv_nsec: timeout.subsec_nanos().into(),
        });
        let mut events: Vec<epoll::Event> = Vec::with_capacity(EVENTS);
        let spare = rustix::buffer::spare_capacity(&mut events);
        match epoll::wait(&self.0, spare, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(events.iter().map(happened).collect())
    }
}

fn happened(event: &epoll::Event) -> Happened {
    match event.data.u64() {
        BELL => Happened::Bell,
        data => Happened::Pair {
            number: data >> 1,
            is_left: data & 1 == 1 && { event.flags }.contains(epoll::EventFlags::HUP),
        },
    }
}
