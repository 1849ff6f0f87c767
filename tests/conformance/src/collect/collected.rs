//! A stream that came to its end and broke no rule.

use sandgate_proto::v1::{ExecutionEnded, ExecutionStarted, SnapshotEnd, execution_ended::Outcome};

use super::Channel;
use crate::failure::{Failure, broken, ensure};

/// A whole stream that broke no rule.
#[derive(Clone, Debug)]
pub(crate) struct Collected {
    /// Its first event.
    pub(crate) started: ExecutionStarted,
    /// Standard output.
    pub(crate) stdout: Channel,
    /// Standard error.
    pub(crate) stderr: Channel,
    /// The terminal.
    pub(crate) terminal: Channel,
    /// Its last event, if that was `ended`.
    pub(crate) ended: Option<ExecutionEnded>,
    /// Its last event, if that was `snapshot_end`.
    pub(crate) snapshot: Option<SnapshotEnd>,
}

impl Collected {
    /// How it ended; fails if the stream was a snapshot of something that runs.
    pub(crate) fn outcome(&self) -> Result<&Outcome, Failure> {
        self.ended
            .as_ref()
            .and_then(|ended| ended.outcome.as_ref())
            .ok_or_else(|| broken("the stream ended with snapshot_end, due was ended"))
    }

    /// Fails unless it exited by itself with this code.
    pub(crate) fn exited(&self, code: i32) -> Result<(), Failure> {
        let outcome = self.outcome()?;
        ensure(*outcome == Outcome::ExitCode(code), || {
            format!(
                "the outcome is {outcome:?}, due was exit_code {code}; stderr: {:?}",
                self.stderr.text()
            )
        })
    }
}
