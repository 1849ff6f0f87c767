//! One connection: what it sent, what it is to be sent, and what it watches.

use std::{
    collections::{BTreeMap, VecDeque},
    os::fd::OwnedFd,
};

use bytes::BytesMut;
use sandgate_runner_proto::{Broken, FrameReader, TO_RUNNER_BYTES, v1::ToRunner};

use crate::{execution::Observation, outbox::Outbox, poller::Interest};

/// Buffers above this size are let go when they are empty.
const BUFFER: usize = 64 * 1024;

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It has yet to say Hello.
    New,
    /// It is in use.
    Open,
    /// It is closed once all is written.
    Closing,
}

/// One connection.
pub(crate) struct Connection {
    pub(crate) fd: OwnedFd,
    /// Pid and uid of the other side.
    pub(crate) peer: (i32, u32),
    /// False: it is standard output, from which nothing can come.
    pub(crate) reads: bool,
    pub(crate) stage: Stage,
    pub(crate) outbox: Outbox,
    /// By call.
    pub(crate) observations: BTreeMap<u64, Observation>,
    /// Looks that wait: call, and number of the execution.
    pub(crate) looks: BTreeMap<u64, u64>,
    /// Observations whose turn it is.
    pub(crate) ready: VecDeque<u64>,
    /// It is in the list of those to be served.
    pub(crate) is_dirty: bool,
    /// What its descriptor is watched for.
    pub(crate) interest: Interest,
    reader: FrameReader,
}

impl Connection {
    /// A new one.
    pub(crate) fn new(fd: OwnedFd, peer: (i32, u32), reads: bool) -> Self {
        Self {
            fd,
            peer,
            reads,
            stage: if reads { Stage::New } else { Stage::Open },
            outbox: Outbox::default(),
            observations: BTreeMap::new(),
            looks: BTreeMap::new(),
            ready: VecDeque::new(),
            is_dirty: false,
            interest: Interest {
                read: reads,
                write: false,
            },
            reader: FrameReader::new(TO_RUNNER_BYTES),
        }
    }

    /// Takes bytes that came.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.reader.buffer().extend_from_slice(bytes);
    }

    /// The next request, unless too many answers wait.
    pub(crate) fn next_request(&mut self) -> Result<Option<ToRunner>, Broken> {
        if self.stage == Stage::Closing || self.outbox.is_clogged() {
            return Ok(None);
        }
        let frame = self.reader.next()?;
        let buffer = self.reader.buffer();
        if buffer.is_empty() && buffer.capacity() > BUFFER {
            *buffer = BytesMut::new();
        }
        Ok(frame)
    }

    /// What came behind the requests that were taken.
    pub(crate) fn rest(&mut self) -> BytesMut {
        std::mem::take(self.reader.buffer())
    }

    /// Whether nothing is watched on it.
    pub(crate) fn is_free(&self) -> bool {
        self.observations.is_empty() && self.looks.is_empty()
    }

    /// What its descriptor should be watched for.
    pub(crate) fn wanted(&self) -> Interest {
        Interest {
            read: self.reads && self.stage != Stage::Closing && !self.outbox.is_clogged(),
            write: !self.outbox.is_empty(),
        }
    }

    /// Whether there is nothing to send to it at the moment.
    pub(crate) fn is_idle(&self) -> bool {
        self.outbox.is_empty() && self.ready.is_empty()
    }

    /// Whether a call is in use.
    pub(crate) fn knows_call(&self, call: u64) -> bool {
        self.observations.contains_key(&call) || self.looks.contains_key(&call)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sandgate_runner_proto::{
        put_frame,
        v1::{List, to_runner::Body},
    };

    use super::*;

    fn connection() -> Connection {
        let (ours, _) = std::os::unix::net::UnixStream::pair().unwrap();
        Connection::new(ours.into(), (0, 0), true)
    }

    proptest! {
        /// Requests come out however they are cut.
        #[test]
        fn requests_survive_any_cut(calls in prop::collection::vec(any::<u64>(), 1..20), cut in 1usize..30) {
            let mut bytes = Vec::new();
            for call in &calls {
                let body = Some(Body::List(List::default()));
                put_frame(&ToRunner { call: *call, body }, &mut bytes);
            }
            let (mut connection, mut seen) = (connection(), Vec::new());
            for piece in bytes.chunks(cut) {
                connection.feed(piece);
                while let Some(frame) = connection.next_request().unwrap() {
                    seen.push(frame.call);
                }
            }
            prop_assert_eq!(seen, calls);
        }

        /// Hostile bytes end in an error or in waiting.
        #[test]
        fn garbage_does_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            let mut connection = connection();
            connection.feed(&bytes);
            while let Ok(Some(_)) = connection.next_request() {}
        }
    }
}
