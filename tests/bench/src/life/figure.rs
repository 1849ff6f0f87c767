//! What is measured of many sandboxes, and what is due.

use clap::ValueEnum;
use sandgate_proto::v1::SandboxState;

/// Sandboxes in the fuller store, for which the figures are due.
pub(crate) const SANDBOXES: u32 = 100_000;
/// Sandboxes in the store that it is compared with.
pub(super) const FEW: u32 = 10;
/// Most that the p50 of an Exec may be of that with few sandboxes.
const LIMIT: f64 = 1.2;

/// A figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Figure {
    /// p50 of Exec among many sandboxes, all others stopped
    Stopped,
    /// The same while all run, each looked at as often as its clocks want
    Running,
    /// A pass of the lease task where nothing is due
    Pass,
    /// Looks at sandboxes that are all due at once
    Looks,
    /// A comparison of the upstream with the store
    Reconcile,
}

impl Figure {
    /// The state of the sandboxes that it is taken among.
    pub(super) fn state(self) -> SandboxState {
        match self {
            Self::Stopped | Self::Pass => SandboxState::Stopped,
            Self::Running | Self::Looks | Self::Reconcile => SandboxState::Running,
        }
    }
}

/// What is due of an Exec, in words.
pub(super) fn due() -> String {
    format!("≤ {LIMIT}")
}

/// Whether the ratio of the p50 of an Exec is what is due.
pub(super) fn reached(ratio: f64) -> bool {
    ratio <= LIMIT
}
