//! A running command as a provider hands it to the kit.

use std::future::Future;

use bytes::Bytes;
use sandgate_proto::v1::OutputChannel;

/// Something that a process did.
#[derive(Debug)]
pub enum Event {
    /// Bytes on one of its channels, in order.
    Output(OutputChannel, Bytes),
    /// It ended, after its last output. Nothing follows.
    Ended(Outcome),
}

/// How a process ended; only what was observed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It returned this code.
    Exited(i32),
    /// This signal ended it (Linux number); `oom_killed` only if the kernel said so.
    Signaled {
        /// Linux signal number.
        signal: i32,
        /// Whether the kernel ended it for want of memory.
        oom_killed: bool,
    },
    /// It never ran.
    StartFailed {
        /// UPPER_SNAKE code.
        reason: &'static str,
        /// What to do about it.
        message: String,
    },
    /// Nobody can know any more; the sandbox, or what ran the process, is gone.
    Lost {
        /// UPPER_SNAKE code.
        reason: &'static str,
    },
}

/// A started command.
pub trait Process: Send + 'static {
    /// The next thing it did. Cancel-safe: a dropped wait loses nothing.
    fn next(&mut self) -> impl Future<Output = Event> + Send;

    /// Asks all its processes to end (TERM), or ends them (KILL). Returns once that is said, not
    /// once they are gone; a process that has ended is no error.
    fn kill(&mut self, force: bool) -> impl Future<Output = ()> + Send;
}
