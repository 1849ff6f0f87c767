//! How long a relayed call may take, and whose patience it is that ends.

use std::{future::Future, pin::pin, task::Poll, time::Duration};

use sandgate_proto::{Problem, methods::Method};
use tokio::time::{Instant, timeout_at};

use crate::problem::{self, Result};

/// When a call has to be over, and when its answer has to have begun.
#[derive(Clone, Copy)]
pub(super) struct Deadlines {
    /// The caller's own; holds for the whole call.
    pub(super) end: Option<Instant>,
    /// Until the answer's headers.
    pub(super) headers: Option<Instant>,
}

impl Deadlines {
    /// Making or starting a sandbox ahead of the call does not count against a default.
    pub(super) fn of(method: &Method, begun: Instant, asked: Option<Duration>) -> Self {
        let end = asked.map(|asked| begun + asked);
        let default = method
            .default_deadline()
            .map(|default| Instant::now() + default);
        match (end, default, method.server_streaming) {
            (Some(end), Some(default), true) => Self {
                end: Some(end),
                headers: Some(end.min(default)),
            },
            (Some(end), _, _) => Self {
                end: Some(end),
                headers: Some(end),
            },
            (None, default, true) => Self {
                end: None,
                headers: default,
            },
            (None, default, false) => Self {
                end: default,
                headers: default,
            },
        }
    }
}

/// What work comes to by then.
pub(super) async fn in_time<T>(until: Instant, work: impl Future<Output = Result<T>>) -> Result<T> {
    let mut work = pin!(work);
    // Mostly done at once: a timer would cost more than the work.
    if let Poll::Ready(done) = futures::poll!(work.as_mut()) {
        return done;
    }
    timeout_at(until, work)
        .await
        .unwrap_or_else(|_| Err(problem::deadline_exceeded()))
}

/// Whose time ran out: the caller's, or our patience with a provider that says nothing.
pub(super) fn late(provider: &str, asked: Option<Duration>) -> Problem {
    match asked {
        Some(_) => problem::deadline_exceeded(),
        None => problem::provider_unavailable(provider, sandgate_proto::Outcome::Ambiguous),
    }
}
