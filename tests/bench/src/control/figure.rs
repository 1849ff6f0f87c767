//! What is measured of authorisation and lookup, and what is due.

use clap::ValueEnum;

/// Most that a call may take longer, in microseconds.
const LIMIT: f64 = 30.0;

/// A figure: calls to the gateway with many sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Figure {
    /// What checks add to a call among 100,000 sessions, always of the same sandbox
    Cached,
    /// The same where no call is of a sandbox that was called a moment ago
    Uncached,
}

impl Figure {
    /// What is due, in words.
    pub(crate) fn due(self) -> &'static str {
        match self {
            Self::Cached => "≤ 30 µs",
            Self::Uncached => "",
        }
    }

    /// Whether the median of what is added is what is due; none where nothing is.
    pub(crate) fn reached(self, added: f64) -> Option<bool> {
        (self == Self::Cached).then_some(added <= LIMIT)
    }
}
