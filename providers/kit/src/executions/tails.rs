//! What a sandbox does now and what has ended in it, with the end of its output.

use std::time::{Duration, SystemTime};

use bytes::BytesMut;
use prost::Message as _;
use sandgate_proto::v1::{EndedExecution, OutputChunk};
use sandgate_runner_proto::v1::{Execution, List};
use tokio::time::{Instant, timeout};

use super::{Executions, Stop, answer};
use crate::{
    CallContext, Provider, ProviderError,
    runner::{Link, LinkError, Seen, place},
};

/// Output kept of each channel.
const TAIL: u64 = 64 * 1024;
/// Size of all that one answer carries.
const ANSWER: usize = 3 * 1024 * 1024;
/// Executions that one answer looks at; a runner keeps fewer.
const LOOKED_AT: usize = 4000;
/// How long the runner may take to send one execution's tails.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a sandbox does and did.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    /// Executions that run.
    pub(crate) running: u32,
    /// The last work inside.
    pub(crate) last: Option<SystemTime>,
    /// What ended since the cursor, oldest first.
    pub(crate) ended: Vec<EndedExecution>,
    /// For the next call.
    pub(crate) cursor: String,
    /// There is more than fits.
    pub(crate) more: bool,
}

impl<P: Provider> Executions<P> {
    /// What the sandbox does, and what has ended since the answer that gave `cursor`.
    pub(crate) async fn activity(
        &self,
        context: &CallContext,
        cursor: &str,
    ) -> Result<Activity, ProviderError> {
        // A runner says what it does when it is greeted.
        let fresh = self.links.fresh(context).await;
        let link = fresh.map_err(|none| Stop::no_link(none, false).into_error(""))?;
        let found = collect(&link, context, cursor).await;
        found.map_err(|error| Stop::link(error, true).into_error(""))
    }
}

async fn collect(link: &Link, context: &CallContext, cursor: &str) -> Result<Activity, LinkError> {
    let welcome = link.welcome();
    let last = SystemTime::now().checked_sub(Duration::from_millis(welcome.idle_ms));
    let mut after = number_after(cursor, &welcome.boot_id);
    let mut activity = Activity {
        running: welcome.running,
        last,
        ..Activity::default()
    };
    let mut size = 0;
    for (number, id) in ended_after(link, after).await? {
        let Some(ended) = ended_execution(link, context, &id).await? else {
            continue;
        };
        size += ended.encoded_len() + 8;
        if size > ANSWER && !activity.ended.is_empty() {
            activity.more = true;
            break;
        }
        after = number;
        activity.ended.push(ended);
    }
    activity.cursor = format!("{}/{after}", welcome.boot_id);
    Ok(activity)
}

/// The count of ended executions that a cursor stands at; 0 for one of another life of the runner.
fn number_after(cursor: &str, boot: &str) -> u64 {
    cursor
        .strip_prefix(boot)
        .and_then(|rest| rest.strip_prefix('/'))
        .and_then(|number| number.parse().ok())
        .unwrap_or_default()
}

/// The ended executions after this count, in the order of their ends.
async fn ended_after(link: &Link, after: u64) -> Result<Vec<(u64, String)>, LinkError> {
    let (mut found, mut before_number, mut seen) = (Vec::new(), 0, 0);
    loop {
        let page = link
            .list(List {
                before_number,
                limit: 0,
                ended_after: after,
            })
            .await?;
        seen += page.executions.len();
        before_number = page.executions.last().map_or(0, |last| last.number);
        found.extend(page.executions.into_iter().filter_map(|execution| {
            let number = execution.ended?.ended_number;
            (number > after).then_some((number, execution.execution_id))
        }));
        if !page.more || seen >= LOOKED_AT {
            break;
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// One of them; none if the runner has dropped it meanwhile.
async fn ended_execution(
    link: &Link,
    context: &CallContext,
    id: &str,
) -> Result<Option<EndedExecution>, LinkError> {
    let found = async {
        let execution = link.look(id, Duration::ZERO).await?;
        let tails = tails(link, &execution).await?;
        Ok((execution, tails))
    };
    match timeout(PATIENCE, found).await {
        Ok(Ok((execution, tails))) => Ok(Some(EndedExecution {
            execution: Some(answer::execution(context, execution)),
            tails,
        })),
        Ok(Err(LinkError::Refused(refusal))) if refusal.reason == "NOT_FOUND" => Ok(None),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(LinkError::Lost),
    }
}

async fn tails(link: &Link, execution: &Execution) -> Result<Vec<OutputChunk>, LinkError> {
    let totals = execution.totals.unwrap_or_default();
    let ends = [totals.stdout, totals.stderr, totals.terminal].map(Option::unwrap_or_default);
    let offsets = ends.map(|end| end.saturating_sub(TAIL));
    let (_, mut watch) = link
        .observe(&execution.execution_id, offsets, false)
        .await?;
    let mut tails: [(u64, BytesMut); 3] = offsets.map(|offset| (offset, BytesMut::new()));
    loop {
        match watch.next(Instant::now()).await? {
            Seen::Output { channel, data, .. } => tails[place(channel)].1.extend_from_slice(&data),
            // What is before a gap is not the end of the output.
            Seen::Gap(gap) => tails[place(gap.channel)] = (gap.end_offset, BytesMut::new()),
            Seen::SnapshotEnd(_) | Seen::Ended(_) => break,
        }
    }
    let chunks = (1..).zip(tails).filter(|(_, (_, data))| !data.is_empty());
    Ok(chunks
        .map(|(channel, (offset, data))| OutputChunk {
            channel,
            offset,
            data: data.freeze(),
        })
        .collect())
}
