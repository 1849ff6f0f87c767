//! Why a call over a wire failed, and whether anything of it was sent.

use std::{error::Error, sync::Arc};

use thiserror::Error;

/// A call that has no answer, or no whole one.
#[derive(Clone, Debug, Error)]
pub enum WireError {
    /// There is no connection: nothing was sent.
    #[error("cannot connect: {0}")]
    Connect(Arc<dyn Error + Send + Sync>),
    /// The connection took no more calls, or the other side says that it never looked at this one:
    /// nothing was done.
    #[error("not sent: {0}")]
    Unsent(Arc<h2::Error>),
    /// It broke after the request was, or may have been, sent: anything may have happened.
    #[error("broken: {0}")]
    Broken(Arc<h2::Error>),
}

impl WireError {
    /// Whether the other side has certainly done nothing.
    pub fn nothing_done(&self) -> bool {
        !matches!(self, Self::Broken(_))
    }

    pub(super) fn connect(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Connect(Arc::from(cause.into()))
    }

    pub(super) fn unsent(cause: h2::Error) -> Self {
        Self::Unsent(Arc::new(cause))
    }

    pub(super) fn broken(cause: h2::Error) -> Self {
        // A server that refuses a stream promises that it has not looked at it (RFC 9113, 8.7).
        if cause.is_remote() && cause.reason() == Some(h2::Reason::REFUSED_STREAM) {
            return Self::unsent(cause);
        }
        Self::Broken(Arc::new(cause))
    }
}
