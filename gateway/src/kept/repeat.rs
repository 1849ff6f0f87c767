//! Starts that are repeated after their sandbox was started anew: its runner does not know them any
//! more, and must not run them twice.

use std::time::Duration;

use sandgate_proto::{
    Problem, Reason,
    v1::{ExecRequest, Execution, RunCommandRequest, StartExecutionResponse},
};
use uuid::Uuid;

use super::{
    Kept,
    answer::{Messages, decoded, events, one},
    run,
};
use crate::problem::Result;

/// From this size on, a command may be shown cut short.
const LONG: usize = 16_000;
/// Bytes that each text takes besides its own.
const OVERHEAD: usize = 4;

impl Kept {
    /// Answers a start with an execution_id that ran before the sandbox was started again for the
    /// `boots`th time; none where it is new, or of this time. `message`: the request as it was sent,
    /// for a sandbox in a session of the caller's own.
    ///
    /// # Errors
    /// `EXECUTION_ID_REUSED` where it was started with another request.
    pub(crate) async fn repeat(
        &self,
        session_id: Uuid,
        sandbox_id: Uuid,
        boots: i64,
        rpc: &str,
        message: &[u8],
    ) -> Result<Option<Messages>> {
        if !matches!(rpc, "Exec" | "RunCommand" | "StartExecution") {
            return Ok(None);
        }
        // The fields that all three have are the same.
        let asked: ExecRequest = decoded(message)?;
        let found = self.find(session_id, sandbox_id, &asked.execution_id);
        let found = found.await?.filter(|(record, _)| record.boots < boots);
        let Some((_, past)) = found else {
            return Ok(None);
        };
        if !is_same(&asked, &past.execution) {
            return Err(reused(past.id()));
        }
        Ok(Some(match rpc {
            // So are the events of both streams.
            "Exec" => events(&past, |_| 0),
            "RunCommand" => {
                let asked: RunCommandRequest = decoded(message)?;
                one(&run::response(&past, &asked)?)
            }
            _ => one(&StartExecutionResponse {
                execution: Some(past.execution()),
                attached: true,
            }),
        }))
    }
}

/// Whether a request could have started an execution, by what is known of that: neither environment
/// nor input, and the size that its terminal had last.
fn is_same(asked: &ExecRequest, ran: &Execution) -> bool {
    is_same_command(asked, ran)
        && (asked.cwd.is_empty() || asked.cwd == ran.cwd)
        && asked.timeout.map(millis) == ran.timeout.map(millis)
        && asked.terminal.is_some() == ran.terminal.is_some()
}

fn is_same_command(asked: &ExecRequest, ran: &Execution) -> bool {
    if asked.command == ran.command && asked.argv == ran.argv {
        return true;
    }
    let texts = [&ran.command].into_iter().chain(&ran.argv);
    let known: usize = texts.map(|text| text.len() + OVERHEAD).sum();
    known >= LONG
        && asked.command.starts_with(&ran.command)
        && asked.argv.len() >= ran.argv.len()
        && asked
            .argv
            .iter()
            .zip(&ran.argv)
            .all(|(asked, ran)| asked.starts_with(ran))
}

/// As providers count it: less than a millisecond is one.
fn millis(timeout: prost_types::Duration) -> u128 {
    Duration::try_from(timeout).map_or(0, |timeout| timeout.as_millis().max(1))
}

fn reused(id: &str) -> Problem {
    Problem::new(
        Reason::ExecutionIdReused,
        format!("execution {id} was started with another request; choose another execution_id, or look at that one with GetExecution"),
    )
    .with("execution_id", id)
}
