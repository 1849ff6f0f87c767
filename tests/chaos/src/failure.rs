//! Why a run is not good.

use std::fmt::Debug;

use thiserror::Error;
use tonic::Status;
use tonic_types::StatusExt as _;

/// Why a run ended before its end.
#[derive(Clone, Debug, Error)]
pub enum Failure {
    /// Something happened that the contract does not allow; the text says what, and what was due.
    #[error("{0}")]
    Broken(String),
    /// The run itself could not go on, and nothing is known about the contract.
    #[error("{0}")]
    Setup(String),
}

/// What every step answers.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// The same failure, with where it was met in front.
    pub(crate) fn at(self, place: &str) -> Self {
        match self {
            Self::Broken(what) => Self::Broken(format!("{place}: {what}")),
            Self::Setup(what) => Self::Setup(format!("{place}: {what}")),
        }
    }

    /// The same failure, with more to know about it below.
    pub(crate) fn above(self, more: &str) -> Self {
        match self {
            Self::Broken(what) => Self::Broken(format!("{what}\n{more}")),
            Self::Setup(what) => Self::Setup(format!("{what}\n{more}")),
        }
    }
}

/// A broken rule.
pub(crate) fn broken<T>(what: impl Into<String>) -> Result<T> {
    Err(Failure::Broken(what.into()))
}

/// Something that this program needs and does not have.
pub(crate) fn setup(what: impl Into<String>) -> Failure {
    Failure::Setup(what.into())
}

/// Fails with what was seen, unless the condition holds.
pub(crate) fn ensure(holds: bool, seen: impl FnOnce() -> String) -> Result<()> {
    if holds { Ok(()) } else { broken(seen()) }
}

/// Fails unless what was seen is what is due.
pub(crate) fn same<T: PartialEq + Debug>(what: &str, seen: &T, due: &T) -> Result<()> {
    ensure(seen == due, || {
        format!("{what} is {seen:?}, due was {due:?}")
    })
}

/// What an optional part of an answer holds.
pub(crate) fn some<T>(what: &str, part: Option<T>) -> Result<T> {
    part.ok_or_else(|| Failure::Broken(format!("the answer has no {what}")))
}

/// The machine-readable reason of a status; empty if it has none.
pub(crate) fn reason(status: &Status) -> String {
    status
        .get_details_error_info()
        .map(|info| info.reason)
        .unwrap_or_default()
}

/// Code, reason and message, for people.
pub(crate) fn describe(status: &Status) -> String {
    format!(
        "{:?} · {}: {}",
        status.code(),
        reason(status),
        status.message()
    )
}

/// Whether the client made this status because its connection broke.
pub(crate) fn is_from_here(status: &Status) -> bool {
    std::error::Error::source(status).is_some()
}
