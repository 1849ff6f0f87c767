//! One connection: the provider's side of it, and that of the port.

use std::{os::fd::OwnedFd, time::Instant};

use rustix::io::Errno;
use sandgate_runner_proto::{
    put_frame,
    v1::{Done, Refused, from_runner::Body},
};

use super::{
    Ticket,
    dial::{Dial, Dialled},
    flow::{Flow, Moved},
};
use crate::answer::{frame, refused};

/// One connection.
pub(super) struct Pair {
    link: OwnedFd,
    call: u64,
    /// The port's side.
    dial: Dial,
    is_connected: bool,
    /// Whether the provider's side is closed altogether.
    pub(super) is_left: bool,
    /// Into the sandbox.
    up: Flow,
    /// Out of it.
    down: Flow,
    pub(super) begun: Instant,
    /// Looks of the watchman since the last byte.
    pub(super) idle: u32,
}

/// What is to be done with it.
pub(super) enum Next {
    /// Nothing, until something happens.
    Waits,
    /// It wants another turn.
    More,
    /// Its port's side is another socket now.
    Again,
    /// It is over.
    Over,
}

impl Pair {
    /// Begins to connect.
    pub(super) fn begin(ticket: Ticket) -> Option<Self> {
        let dial = match Dial::begin(ticket.port) {
            Ok(dial) => dial,
            Err(errno) => {
                refuse(&ticket.link, ticket.call, errno);
                return None;
            }
        };
        let mut up = Flow::default();
        up.begin(&ticket.before);
        Some(Self {
            link: ticket.link,
            call: ticket.call,
            dial,
            is_connected: false,
            is_left: false,
            up,
            down: Flow::default(),
            begun: Instant::now(),
            idle: 0,
        })
    }

    pub(super) const fn link(&self) -> &OwnedFd {
        &self.link
    }

    pub(super) const fn port(&self) -> &OwnedFd {
        &self.dial.socket
    }

    pub(super) const fn is_connected(&self) -> bool {
        self.is_connected
    }

    /// Does all that can be done now; true besides: bytes came through.
    pub(super) fn go_on(&mut self, scratch: &mut [u8]) -> (Next, bool) {
        if !self.is_connected {
            match self.dial.look() {
                Dialled::Connected => self.connected(),
                Dialled::Waits if self.is_left => return (Next::Over, false),
                Dialled::Waits => return (Next::Waits, false),
                Dialled::Again(dial) => {
                    self.dial = dial;
                    return (Next::Again, false);
                }
                Dialled::Failed(errno) => {
                    refuse(&self.link, self.call, errno);
                    return (Next::Over, false);
                }
            }
        }
        let (up, came_up) = self.up.go_on(&self.link, &self.dial.socket, scratch);
        let (down, came_down) = self.down.go_on(&self.dial.socket, &self.link, scratch);
        let came = came_up || came_down;
        if came {
            self.idle = 0;
        }
        let next = match (up, down) {
            (Moved::Broken, _) | (_, Moved::Broken) | (Moved::Ended, Moved::Ended) => Next::Over,
            // Nobody is there to hear what the port still says.
            (Moved::Ended, _) if self.is_left => Next::Over,
            (Moved::More, _) | (_, Moved::More) => Next::More,
            _ => Next::Waits,
        };
        (next, came)
    }

    /// Tells the provider, ahead of all that the port says.
    fn connected(&mut self) {
        self.is_connected = true;
        let mut bytes = Vec::new();
        let done = Body::Done(Done { delivered: true });
        put_frame(&frame(self.call, done), &mut bytes);
        self.down.begin(&bytes);
    }

    /// Waited long enough.
    pub(super) fn give_up(&self) {
        refuse(&self.link, self.call, Errno::TIMEDOUT);
    }
}

/// Says why there is no connection, to whoever still hears it.
fn refuse(link: &OwnedFd, call: u64, errno: Errno) {
    let refusal: Refused = match errno {
        Errno::CONNREFUSED => refused("NOT_LISTENING", "nothing listens on this port"),
        Errno::TIMEDOUT => refused("NOT_ANSWERING", "what listens there takes no connection"),
        errno => refused("CONNECT_FAILED", &errno.to_string()),
    };
    let mut bytes = Vec::new();
    put_frame(&frame(call, Body::Refused(refusal)), &mut bytes);
    // A fresh connection has room for it.
    let _ = rustix::io::write(link, &bytes);
}
