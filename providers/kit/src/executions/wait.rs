//! Waiting for the end of an execution.

use std::time::{Duration, SystemTime};

use sandgate_proto::v1;
use tokio::time::Instant;

use super::{Executions, Stop, Terms, answer};
use crate::{CallContext, Provider, ProviderError};

/// Longest wait in one question to a runner.
const TURN: Duration = Duration::from_secs(30);

impl<P: Provider> Executions<P> {
    /// The execution when it has ended, or as it is at `until`.
    ///
    /// # Errors
    /// As a look. One that was seen to run in a sandbox that is gone since is lost, not an error.
    pub(crate) async fn wait(
        &self,
        context: &CallContext,
        id: &str,
        until: Option<Instant>,
    ) -> Result<v1::Execution, ProviderError> {
        let (mut seen, boot) = self.look(context, id).await?;
        while seen.ended.is_none() {
            let left = until.map_or(TURN, |until| {
                until.saturating_duration_since(Instant::now())
            });
            if left.is_zero() {
                break;
            }
            let terms = Terms::read_in(boot.clone());
            match self.look_again(context, id, left.min(TURN), terms).await {
                Ok((found, _)) => seen = found,
                Err(stop) => match self.end_by(context, &stop).await {
                    Some(reason) => return Ok(gone(context, seen, reason)),
                    None => return Err(into_error(stop, id)),
                },
            }
        }
        Ok(answer::execution(context, seen))
    }
}

fn into_error(stop: Stop, id: &str) -> ProviderError {
    stop.into_error(id)
}

fn gone(
    context: &CallContext,
    seen: sandgate_runner_proto::v1::Execution,
    reason: &'static str,
) -> v1::Execution {
    let totals = seen.totals.unwrap_or_default();
    let bytes = [totals.stdout, totals.stderr, totals.terminal].map(Option::unwrap_or_default);
    let mut execution = answer::execution(context, seen);
    execution.state = v1::ExecutionState::Ended.into();
    execution.stdin_open = false;
    execution.ended = Some(v1::ExecutionEnded {
        end_time: Some(SystemTime::now().into()),
        ..answer::lost(reason, bytes)
    });
    execution
}
