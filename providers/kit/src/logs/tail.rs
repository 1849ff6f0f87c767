//! Finds where the last lines of a sandbox's executions begin.

use std::sync::Arc;

use super::{known::Known, lines::Lines};
use crate::{
    CallContext, Provider, ProviderError,
    executions::{Executions, From, Message},
};

/// Output of each channel that is looked at for its last lines.
pub(super) const LOOK_BACK: u64 = 1024 * 1024;

/// The number of the oldest execution that is needed for so many lines.
pub(super) async fn first_for<P: Provider>(
    executions: &Arc<Executions<P>>,
    context: &CallContext,
    known: &[Known],
    wanted: usize,
) -> Result<u64, ProviderError> {
    let (mut first, mut have) = (u64::MAX, 0);
    for execution in known.iter().rev() {
        if have >= wanted {
            break;
        }
        have += lines_of(executions, context, execution).await?;
        first = execution.number;
    }
    Ok(first)
}

async fn lines_of<P: Provider>(
    executions: &Arc<Executions<P>>,
    context: &CallContext,
    known: &Known,
) -> Result<usize, ProviderError> {
    let from = From {
        offsets: start(known).map(Some),
        tail: None,
        follow: false,
    };
    let mut follow = executions.observe(context.clone(), &known.id, from).await?;
    let mut channels = start(known).map(|offset| Lines::new(offset, offset > 0));
    let mut count = 0;
    loop {
        match follow.next().await? {
            Message::Output(chunk) => {
                let place = usize::try_from(chunk.channel - 1)
                    .unwrap_or_default()
                    .min(2);
                count += channels[place].push(&chunk.data).len();
            }
            Message::SnapshotEnd(_) => return Ok(count),
            Message::Ended(_) => {
                return Ok(count + channels.iter_mut().filter_map(Lines::finish).count());
            }
            Message::Started(_) | Message::Gap(_) | Message::KeepAlive => {}
        }
    }
}

/// Where to begin in each channel.
pub(super) fn start(known: &Known) -> [u64; 3] {
    known.totals.map(|total| total.saturating_sub(LOOK_BACK))
}
