//! The problems that come from the gateway's own store.

use std::{fmt, time::Duration};

use sandgate_proto::{Outcome, Problem, Reason};

use crate::store::{Fault, StoreError};

/// How soon a store may be well again.
const LATER: Duration = Duration::from_secs(5);

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let fault = error.fault();
        let message = match fault {
            Fault::Locked => {
                "the gateway's database is held by something else, and nothing was changed; repeat the call, and if it goes on have the operator end the backup or program that holds its lock"
            }
            Fault::Full => {
                "the disk of the gateway's database is full, and nothing was changed; repeat the call later, and have the operator make room"
            }
            Fault::ReadOnly => {
                "the gateway's database can only be read, and nothing was changed; have the operator make its file and folder writable, then repeat the call"
            }
            Fault::Unreachable => {
                "the gateway's database cannot be reached, and nothing was changed; repeat the call, and if it goes on have the operator look at the gateway's log"
            }
            Fault::Disk => {
                "the disk of the gateway's database failed or is full, so that the change may or may not be kept; look before repeating the call, or repeat it with the same request_id, and have the operator look at the gateway's log"
            }
            Fault::Damaged | Fault::Foreign => return damaged("store", &error),
            Fault::OtherVersion | Fault::Own => return super::internal("store", &error),
        };
        tracing::error!(?fault, %error, "the store does not do what it is asked");
        let outcome = match fault {
            Fault::Disk => Outcome::Ambiguous,
            _ => Outcome::Rejected,
        };
        unavailable(outcome, message)
    }
}

fn unavailable(outcome: Outcome, message: &str) -> Problem {
    Problem::new(Reason::StoreUnavailable, message)
        .with_outcome(outcome)
        .retry_after(LATER)
}

/// The same problem of work that was begun: where the store failed then, not all of it is undone.
pub(crate) fn begun(problem: Problem) -> Problem {
    if problem.reason() != Reason::StoreUnavailable {
        return problem;
    }
    unavailable(
        Outcome::Ambiguous,
        "the gateway's database did not take what became of this call, which may have been carried out; look with GetSandbox or ListSandboxes, or repeat it with the same request_id",
    )
}

/// What is kept cannot be read. Logs the cause; the caller learns what its operator can do.
pub(crate) fn damaged(what: &str, cause: &dyn fmt::Display) -> Problem {
    tracing::error!(what, %cause, "the database is damaged; check it with `sqlite3 FILE 'PRAGMA integrity_check'`");
    Problem::new(
        Reason::StoreDamaged,
        "what the gateway's database holds of this cannot be read; have the operator stop the gateway, check the file with `sqlite3 FILE 'PRAGMA integrity_check'`, and put the last backup in its place",
    )
}
