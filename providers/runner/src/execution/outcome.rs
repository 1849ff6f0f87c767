//! How an execution ended: only what was observed.

use rustix::process::WaitStatus;
use sandgate_runner_proto::v1::{
    Cancelled, Ended, Signaled, StartFailed, TimedOut, ended::Outcome,
};

use super::{Execution, now_ns};
use crate::process::StartFailure;

/// Why the runner ends a tree; it decides the outcome, whatever the process makes of TERM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Its time is over.
    TimedOut,
    /// Somebody asked for it.
    Cancelled(String),
}

impl Execution {
    /// Notes the outcome; the numbers of channels that are cut are left for [`Self::ended`].
    pub(crate) fn set_ended(&mut self, failure: Option<StartFailure>, ended_number: u64) {
        let outcome = match (failure, &self.ending) {
            (Some(failure), _) => Outcome::StartFailed(StartFailed {
                reason: failure.reason.to_owned(),
                message: failure.message,
            }),
            (None, Some(Ending::TimedOut)) => Outcome::TimedOut(TimedOut {}),
            (None, Some(Ending::Cancelled(by))) => Outcome::Cancelled(Cancelled { by: by.clone() }),
            (None, None) => self
                .status
                .map_or(Outcome::ExitCode(0), |status| self.own_outcome(status)),
        };
        self.ended = Some(Ended {
            outcome: Some(outcome),
            totals: Some(self.totals()),
            truncated: Vec::new(),
            end_time_ns: now_ns().max(self.start_time_ns),
            duration_ns: self
                .start
                .elapsed()
                .as_nanos()
                .try_into()
                .unwrap_or(u64::MAX),
            ended_number,
        });
    }

    /// How it ended; channels may be cut later still, when others need the space.
    pub(crate) fn ended(&self) -> Option<Ended> {
        let cut = self.lanes.iter().filter(|lane| lane.spool.is_truncated());
        Some(Ended {
            truncated: cut.map(|lane| lane.channel.into()).collect(),
            ..self.ended.clone()?
        })
    }

    fn own_outcome(&self, status: WaitStatus) -> Outcome {
        match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Outcome::ExitCode(code),
            (None, signal) => Outcome::Signaled(Signaled {
                signal: signal.unwrap_or_default(),
                oom_killed: self.oom_killed,
            }),
        }
    }
}
