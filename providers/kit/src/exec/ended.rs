//! The last message of a stream.

use std::time::{Duration, SystemTime};

use sandgate_proto::v1::{
    Cancelled, ChannelTotals, ExecutionEnded, Lost, Signaled, StartFailed, TimedOut,
    execution_ended::Outcome as Ended,
};

use super::{Cause, frames::Totals};
use crate::Outcome;

/// What is said of an execution that ended, whether by itself or because of `cause`.
pub(super) fn ended(
    outcome: Outcome,
    cause: Option<Cause>,
    totals: Totals,
    ran: Duration,
) -> ExecutionEnded {
    let never_ran = matches!(outcome, Outcome::StartFailed { .. } | Outcome::Lost { .. });
    let outcome = match (outcome, cause) {
        (Outcome::StartFailed { reason, message }, _) => Ended::StartFailed(StartFailed {
            reason: reason.into(),
            message,
        }),
        (Outcome::Lost { reason }, _) => Ended::Lost(Lost {
            reason: reason.into(),
        }),
        (Outcome::Exited(_) | Outcome::Signaled { .. }, Some(Cause::Timeout)) => {
            Ended::TimedOut(TimedOut {})
        }
        (Outcome::Exited(_) | Outcome::Signaled { .. }, Some(Cause::Disconnect)) => {
            Ended::Cancelled(Cancelled {
                by: "DISCONNECT".into(),
            })
        }
        (Outcome::Exited(code), None) => Ended::ExitCode(code),
        (Outcome::Signaled { signal, oom_killed }, None) => {
            Ended::Signaled(Signaled { signal, oom_killed })
        }
    };
    let channel = |bytes| {
        Some(ChannelTotals {
            bytes,
            truncated: false,
        })
    };
    ExecutionEnded {
        outcome: Some(outcome),
        stdout: channel(totals.stdout),
        stderr: channel(totals.stderr),
        terminal: None,
        end_time: Some(SystemTime::now().into()),
        duration: (!never_ran).then(|| ran.try_into().unwrap_or_default()),
    }
}
