//! The executions of a sandbox as its log needs them: number, id, and whether it is over.

use std::time::{Duration, SystemTime};

use sandgate_runner_proto::v1::{Execution, List};

use crate::{CallContext, Provider, ProviderError, executions::Executions};

/// Executions looked at; a runner keeps fewer.
const MOST: usize = 4000;

#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) number: u64,
    pub(super) id: String,
    pub(super) totals: [u64; 3],
    pub(super) end: Option<SystemTime>,
}

impl From<Execution> for Known {
    fn from(seen: Execution) -> Self {
        let totals = seen.totals.unwrap_or_default();
        let end = seen.ended.map(|ended| {
            let since = Duration::from_nanos(ended.end_time_ns.try_into().unwrap_or_default());
            SystemTime::UNIX_EPOCH + since
        });
        Self {
            number: seen.number,
            id: seen.execution_id,
            totals: [totals.stdout, totals.stderr, totals.terminal].map(Option::unwrap_or_default),
            end,
        }
    }
}

/// Those with a number above `after`, the oldest first, and which life of the runner they are of.
pub(super) async fn above<P: Provider>(
    executions: &Executions<P>,
    context: &CallContext,
    after: u64,
) -> Result<(Vec<Known>, String), ProviderError> {
    let (mut found, mut before_number) = (Vec::new(), 0);
    loop {
        let list = List {
            before_number,
            limit: 0,
            ended_after: 0,
        };
        let (page, boot) = executions.list(context, list).await?;
        let more = page.more;
        found.extend(page.executions.into_iter().map(Known::from));
        before_number = found.last().map_or(0, |known| known.number);
        if !more || before_number <= after + 1 || found.len() >= MOST {
            found.retain(|known| known.number > after);
            found.reverse();
            return Ok((found, boot));
        }
    }
}
