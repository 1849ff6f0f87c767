//! Ends all that runs in a sandbox ahead of its stop, so that it can still be read to its end.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sandgate_proto::v1::EndExecutions;
use sandgate_runner_proto::{LINGER_VERSION, v1::Shutdown};
use tokio::time::Instant;

use super::{Executions, Stop};
use crate::{CallContext, Kind, Provider, ProviderError, runner::LinkError};

/// Between TERM and KILL, where the caller does not say.
const GRACE: Duration = Duration::from_secs(10);
/// The longest that a runner takes.
const LONGEST_GRACE: Duration = Duration::from_secs(600);
/// How long the runner may take beyond that.
const MORE: Duration = Duration::from_secs(10);
/// How long the runner stays, so that its outputs can be fetched.
const LINGER: Duration = Duration::from_secs(60);
/// Longest word for why, in bytes.
const WORD: usize = 64;
/// Forgets what is long over whenever so many are known.
const SWEEP_AT: usize = 1024;

/// How to end all that runs.
#[derive(Clone, Debug)]
pub(crate) struct Close {
    grace: Duration,
    by: String,
    only_if_idle: Option<Duration>,
}

impl TryFrom<EndExecutions> for Close {
    type Error = ProviderError;

    fn try_from(asked: EndExecutions) -> Result<Self, ProviderError> {
        let is_word = |letter: u8| matches!(letter, b'A'..=b'Z' | b'0'..=b'9' | b'_');
        if asked.by.len() > WORD || !asked.by.bytes().all(is_word) {
            return Err(ProviderError::new(
                Kind::InvalidField("end_executions.by"),
                "must be an UPPER_SNAKE word of at most 64 bytes",
            ));
        }
        let grace = not_negative("end_executions.grace_timeout", asked.grace_timeout)?;
        let idle = not_negative("end_executions.only_if_idle_for", asked.only_if_idle_for)?;
        Ok(Self {
            grace: grace.unwrap_or(GRACE).min(LONGEST_GRACE),
            by: asked.by,
            only_if_idle: idle,
        })
    }
}

/// A time of a request that may be zero.
pub(crate) fn not_negative(
    field: &'static str,
    time: Option<prost_types::Duration>,
) -> Result<Option<Duration>, ProviderError> {
    let read = time.map(Duration::try_from).transpose();
    read.map_err(|_| ProviderError::new(Kind::InvalidField(field), "must not be negative"))
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Sandboxes whose runner starts nothing more, for as long as it may linger.
#[derive(Debug, Default)]
pub(super) struct Closed(Mutex<HashMap<String, Instant>>);

impl Closed {
    fn insert(&self, sandbox_id: &str) {
        let now = Instant::now();
        let mut closed = self.lock();
        if closed.len() >= SWEEP_AT {
            closed.retain(|_, until| *until > now);
        }
        closed.insert(sandbox_id.to_owned(), now + LINGER + MORE);
    }

    pub(super) fn remove(&self, sandbox_id: &str) {
        self.lock().remove(sandbox_id);
    }

    fn has(&self, sandbox_id: &str) -> bool {
        let until = self.lock().get(sandbox_id).copied();
        until.is_some_and(|until| until > Instant::now())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P: Provider> Executions<P> {
    /// Ends all that runs and lets nothing start any more; false: nothing was done, since the
    /// sandbox is not idle, or its runner is of an earlier release and cannot.
    pub(crate) async fn close(
        &self,
        context: &CallContext,
        close: &Close,
    ) -> Result<bool, ProviderError> {
        let fresh = self.links.fresh(context).await;
        let link = fresh.map_err(|none| Stop::no_link(none, false).into_error(""))?;
        if link.welcome().version < LINGER_VERSION {
            return Ok(false);
        }
        let shutdown = Shutdown {
            grace_ms: millis(close.grace),
            by: close.by.clone(),
            linger_ms: millis(LINGER),
            only_if_idle_ms: close.only_if_idle.map_or(0, |idle| millis(idle).max(1)),
        };
        match link.end_all(shutdown, close.grace + MORE).await {
            Ok(()) => {
                self.closed.insert(&context.sandbox_id);
                Ok(true)
            }
            Err(LinkError::Refused(refusal)) if refusal.reason == "BUSY" => Ok(false),
            Err(error) => {
                if !matches!(error, LinkError::Refused(_)) {
                    // It may have been done all the same.
                    self.closed.insert(&context.sandbox_id);
                }
                Err(Stop::link(error, true).into_error(""))
            }
        }
    }

    /// Whether a start finds a runner there that starts nothing more.
    pub(crate) fn is_closed(&self, sandbox_id: &str) -> bool {
        self.closed.has(sandbox_id)
    }
}
