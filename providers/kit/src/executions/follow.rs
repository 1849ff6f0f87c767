//! A stream of one execution. It outlives the link: after a loss it goes on at the next byte.

use std::{sync::Arc, time::Duration};

use sandgate_proto::v1::{ExecutionStarted, OutputChunk, OutputGap};
use sandgate_runner_proto::v1::Gap;
use tokio::time::Instant;

use super::{
    Boot, Executions, Message, Patience, Terms,
    answer::{ended, lost, snapshot_end, timestamp},
    failure::Stop,
};
use crate::{
    CallContext, Kind, Provider, ProviderError,
    runner::{Began, LinkError, Seen, Watch},
};

/// Time between two pieces of output that are not full; the first of a burst goes at once. Peers
/// count small unread frames against the whole connection.
const INTERVAL: Duration = Duration::from_millis(2);

/// A stream of one execution.
pub(crate) struct Follow<P> {
    executions: Arc<Executions<P>>,
    context: CallContext,
    execution_id: String,
    /// The life of the runner that the execution belongs to.
    boot: Boot,
    began: Began,
    watch: Option<Watch>,
    offsets: [u64; 3],
    follow: bool,
    patience: Patience,
    not_before: Instant,
}

impl<P: Provider> Follow<P> {
    pub(super) fn new(
        executions: Arc<Executions<P>>,
        context: CallContext,
        execution_id: String,
        boot: Boot,
        (began, watch): (Began, Watch),
        offsets: [u64; 3],
        follow: bool,
    ) -> Self {
        Self {
            executions,
            context,
            execution_id,
            boot,
            began,
            watch: Some(watch),
            offsets,
            follow,
            patience: Patience::default(),
            not_before: Instant::now(),
        }
    }

    /// The first message of the stream.
    pub(crate) fn started(&self) -> ExecutionStarted {
        ExecutionStarted {
            sandbox_id: self.context.sandbox_id.clone(),
            execution_id: self.execution_id.clone(),
            start_time: Some(timestamp(self.began.start_time_ns)),
            attached: self.began.attached,
        }
    }

    /// The next message; after `Ended` or `SnapshotEnd` there is none. Cancel-safe.
    ///
    /// # Errors
    /// Where the runner cannot be reached again in time. That says nothing about the execution.
    pub(crate) async fn next(&mut self) -> Result<Message, ProviderError> {
        loop {
            let Some(watch) = &mut self.watch else {
                match self.attach().await? {
                    Some(reason) => return Ok(Message::Ended(lost(reason, self.offsets))),
                    None => continue,
                }
            };
            match watch.next(self.not_before).await {
                Ok(seen) => {
                    self.patience = Patience::default();
                    self.not_before = Instant::now() + INTERVAL;
                    return Ok(self.message(seen));
                }
                Err(LinkError::Lost) => self.watch = None,
                Err(error) => return Err(Stop::link(error, true).into_error(&self.execution_id)),
            }
        }
    }

    /// Watches again from where it was; or says why nobody ever can.
    async fn attach(&mut self) -> Result<Option<&'static str>, ProviderError> {
        loop {
            // A runner that ends each link after a byte must not keep this one busy.
            if !self.patience.pause().await {
                return Err(Stop::link(LinkError::Lost, true).into_error(&self.execution_id));
            }
            let (id, offsets, follow) = (&self.execution_id, self.offsets, self.follow);
            let again = self.executions.call(
                &self.context,
                Terms::read_in(self.boot.clone()),
                &mut self.patience,
                |link| {
                    let id = id.clone();
                    async move { link.observe(&id, offsets, follow).await }
                },
            );
            match again.await {
                Ok(((_, watch), _)) => {
                    self.watch = Some(watch);
                    return Ok(None);
                }
                Err(stop) => {
                    if let Some(reason) = self.executions.end_by(&self.context, &stop).await {
                        return Ok(Some(reason));
                    }
                    if !is_passing(&stop) {
                        return Err(stop.into_error(&self.execution_id));
                    }
                }
            }
        }
    }

    fn message(&mut self, seen: Seen) -> Message {
        match seen {
            Seen::Output {
                channel,
                offset,
                data,
            } => {
                self.advance(channel, offset + data.len() as u64);
                Message::Output(OutputChunk {
                    channel,
                    offset,
                    data,
                })
            }
            Seen::Gap(Gap {
                channel,
                start_offset,
                end_offset,
                reason,
            }) => {
                self.advance(channel, end_offset);
                Message::Gap(OutputGap {
                    channel,
                    start_offset,
                    end_offset,
                    reason,
                })
            }
            Seen::SnapshotEnd(totals) => Message::SnapshotEnd(snapshot_end(totals)),
            Seen::Ended(found) => Message::Ended(ended(*found)),
        }
    }

    fn advance(&mut self, channel: i32, next: u64) {
        let place = usize::try_from(channel - 1).ok();
        if let Some(offset) = place.and_then(|place| self.offsets.get_mut(place)) {
            *offset = next;
        }
    }
}

impl<P: Provider> Executions<P> {
    /// Whether this failure, met on an execution that ran before, means that nobody will ever know
    /// how it ends; and why.
    pub(super) async fn end_by(&self, context: &CallContext, stop: &Stop) -> Option<&'static str> {
        match stop {
            Stop::OtherBoot => Some("SANDBOX_RESTARTED"),
            Stop::Replaced => Some("GENERATION_REPLACED"),
            Stop::Error(error) if is_of_the_sandbox(error) => self.fate(context).await,
            Stop::Error(_) | Stop::Refused(_) => None,
        }
    }
}

fn is_of_the_sandbox(error: &ProviderError) -> bool {
    matches!(
        error.kind(),
        Kind::SandboxGone | Kind::NotRunning | Kind::Unavailable(_)
    )
}

/// A sandbox that is not said to be gone may answer again.
fn is_passing(stop: &Stop) -> bool {
    matches!(stop, Stop::Error(error) if is_of_the_sandbox(error))
}
