//! `RunCommand`: a stream read to its end, in one answer.

use std::future::pending;

use sandgate_proto::v1::{OutputChannel, OutputKeep, RunCommandRequest, RunCommandResponse};
use tokio::time::{Instant, sleep_until};

use super::kept::Kept;
use crate::{
    Kind, Provider, ProviderError,
    executions::{Follow, Message},
    runner::place,
};

/// Most that can be wanted of a channel.
const MOST: u64 = 1024 * 1024;
const CHANNELS: [OutputChannel; 3] = [
    OutputChannel::Stdout,
    OutputChannel::Stderr,
    OutputChannel::Terminal,
];

/// How much to keep of each channel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keep {
    head: usize,
    tail: usize,
}

impl Keep {
    pub(super) fn of(request: &RunCommandRequest) -> Result<Self, ProviderError> {
        let limit = request.max_output_bytes.unwrap_or(MOST);
        let limit = usize::try_from(limit)
            .ok()
            .filter(|_| limit <= MOST)
            .ok_or_else(|| {
                ProviderError::new(
                    Kind::InvalidField("max_output_bytes"),
                    "is at most 1,048,576; read more with StreamExecution",
                )
            })?;
        let head = match request.keep() {
            OutputKeep::Tail => 0,
            OutputKeep::Unspecified | OutputKeep::HeadTail => limit.div_ceil(2),
        };
        Ok(Self {
            head,
            tail: limit - head,
        })
    }
}

/// Reads the execution until it ends, or until the answer has to go.
pub(super) async fn run<P: Provider>(
    mut follow: Follow<P>,
    keep: Keep,
    answer_by: Option<Instant>,
) -> Result<RunCommandResponse, ProviderError> {
    let started = follow.started();
    let mut channels = CHANNELS.map(|_| Kept::new(keep.head, keep.tail));
    let out_of_time = async {
        match answer_by {
            Some(time) => sleep_until(time).await,
            None => pending().await,
        }
    };
    tokio::pin!(out_of_time);
    let ended = loop {
        let message = tokio::select! {
            biased;
            message = follow.next() => message?,
            () = &mut out_of_time => break None,
        };
        match message {
            Message::Output(chunk) => channels[place(chunk.channel)].output(&chunk.data),
            Message::Gap(gap) => channels[place(gap.channel)].gap(gap.end_offset, gap.reason),
            Message::Ended(ended) => break Some(ended),
            Message::Started(_) | Message::KeepAlive | Message::SnapshotEnd(_) => {}
        }
    };
    let mut gaps = Vec::new();
    let mut bytes = channels.into_iter().zip(CHANNELS).map(|(kept, channel)| {
        let (bytes, missing) = kept.finish(channel);
        gaps.extend(missing);
        bytes
    });
    let mut next = || bytes.next().unwrap_or_default();
    let (stdout, stderr, terminal) = (next(), next(), next());
    drop(bytes);
    Ok(RunCommandResponse {
        sandbox_id: started.sandbox_id,
        execution_id: started.execution_id,
        stdout,
        stderr,
        terminal,
        gaps,
        ended,
    })
}
