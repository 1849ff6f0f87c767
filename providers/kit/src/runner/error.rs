//! How a talk with a runner can fail.

use sandgate_runner_proto::Broken;
use thiserror::Error;

/// The runner did not keep the protocol. Its connection is over, the reason is logged.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum Violation {
    /// Bytes that are no frame.
    #[error(transparent)]
    Frame(#[from] Broken),
    /// A frame for a call that was never made.
    #[error("an answer to call {0}, which was never made")]
    UnknownCall(u64),
    /// An answer of another kind than the call has.
    #[error("an answer of a kind that the call does not have")]
    Unexpected,
    /// A value outside of its range.
    #[error("{0} is not what the protocol allows")]
    Field(&'static str),
    /// Output that does not go on where the last one ended.
    #[error("output of channel {channel} at offset {found} instead of {expected}")]
    Offset {
        /// Number of the channel.
        channel: i32,
        /// The next byte.
        expected: u64,
        /// What came.
        found: u64,
    },
    /// More output than was asked for.
    #[error("more output than there was credit for")]
    Credit,
    /// An end whose totals differ from what was sent.
    #[error("the totals at the end are not what was sent")]
    Totals,
    /// More pieces than any output has.
    #[error("too many pieces of output")]
    Flood,
}

/// What the runner refused to do, in its own, cleaned words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// `UPPER_SNAKE`.
    pub(crate) reason: String,
    /// A sentence.
    pub(crate) message: String,
    /// With `OFFSET_OUT_OF_RANGE`: the highest that can be asked for.
    pub(crate) offset: u64,
    /// With `OFFSET_OUT_OF_RANGE` of output: the number of the channel.
    pub(crate) channel: i32,
}

/// Why a call to a runner has no answer.
#[derive(Clone, Debug, Error)]
pub(crate) enum LinkError {
    /// The connection ended, or nothing came in time. Nothing is known of the call.
    #[error("the connection to the runner ended")]
    Lost,
    /// The runner did not keep the protocol.
    #[error("the runner broke the protocol: {0}")]
    Broken(#[from] Violation),
    /// The runner would not.
    #[error("the runner refused: {}", .0.reason)]
    Refused(Refusal),
    /// As many calls as one connection carries are open; this one was not sent.
    #[error("too many calls to one runner")]
    Full,
}
