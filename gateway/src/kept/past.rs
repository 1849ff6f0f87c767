//! One execution that is over: what is sealed of it, and what can be read of it.

use prost::Message as _;
use sandgate_proto::v1::{
    ChannelTotals, EndedExecution, Execution, ExecutionEnded, ExecutionStarted, OutputChannel,
    OutputChunk, OutputTotals,
};
use secrecy::{ExposeSecret as _, SecretSlice};

use super::{AGE, lane::Lane};
use crate::{
    clock,
    problem::{self, Result},
    store::{KeptRecord, SandboxRecord},
};

/// In the order of their totals.
const CHANNELS: [OutputChannel; 3] = [
    OutputChannel::Stdout,
    OutputChannel::Stderr,
    OutputChannel::Terminal,
];

/// An execution that has ended, and the last of its output.
pub(super) struct Past {
    pub(super) execution: Execution,
    pub(super) ended: ExecutionEnded,
    /// A lane for each channel that it had.
    pub(super) lanes: Vec<Lane>,
    pub(super) start_time: i64,
    pub(super) end_time: i64,
    pub(super) expire_time: i64,
}

impl Past {
    /// What is kept of an execution of this sandbox; none where it does not say how it ended. The
    /// sandbox's clock may be any: nothing is kept longer for it.
    pub(super) fn of(sandbox: &SandboxRecord, seen: &EndedExecution, now: i64) -> Option<Self> {
        let mut execution = seen.execution.clone()?;
        let ended = execution.ended.take()?;
        if execution.execution_id.is_empty() {
            return None;
        }
        let time = |time: Option<prost_types::Timestamp>| time.and_then(clock::millis);
        let end_time = time(ended.end_time).unwrap_or(now).min(now);
        let start_time = time(execution.start_time).unwrap_or(end_time).min(end_time);
        let expire_time = end_time.saturating_add(AGE);
        execution.session_id = sandbox.session_id.to_string();
        execution.sandbox_id = sandbox.sandbox_id.to_string();
        execution.stdin_open = false;
        execution.output_expire_time = Some(clock::timestamp(expire_time));
        let mut totals = totals(&execution, &ended);
        let lanes = lanes(&totals, &seen.tails);
        for (totals, lane) in totals.iter_mut().flatten().zip(&lanes) {
            // Whoever reads from the first byte meets a gap now. How it ended stays as it was said.
            totals.truncated |= lane.lacks_something();
        }
        let [stdout, stderr, terminal] = totals;
        execution.totals = Some(OutputTotals {
            stdout,
            stderr,
            terminal,
        });
        Some(Self {
            execution,
            ended,
            lanes,
            start_time,
            end_time,
            expire_time,
        })
    }

    /// What was sealed.
    pub(super) fn opened(record: &KeptRecord, content: &SecretSlice<u8>) -> Result<Self> {
        let unreadable = |why: &dyn std::fmt::Display| problem::internal("kept execution", why);
        let seen =
            EndedExecution::decode(content.expose_secret()).map_err(|error| unreadable(&error))?;
        let mut execution = seen.execution.unwrap_or_default();
        let ended = execution.ended.take();
        let ended = ended.ok_or_else(|| unreadable(&"it has no end"))?;
        Ok(Self {
            lanes: lanes(&totals(&execution, &ended), &seen.tails),
            execution,
            ended,
            start_time: record.start_time,
            end_time: record.end_time,
            expire_time: record.expire_time,
        })
    }

    /// What is to be sealed.
    pub(super) fn encoded(&self) -> Vec<u8> {
        let whole = EndedExecution {
            execution: Some(self.execution()),
            tails: self.lanes.iter().filter_map(Lane::chunk).collect(),
        };
        whole.encode_to_vec()
    }

    pub(super) fn id(&self) -> &str {
        &self.execution.execution_id
    }

    /// The execution as callers see it.
    pub(super) fn execution(&self) -> Execution {
        Execution {
            ended: Some(self.ended.clone()),
            ..self.execution.clone()
        }
    }

    /// The first event of its streams.
    pub(super) fn started(&self) -> ExecutionStarted {
        ExecutionStarted {
            sandbox_id: self.execution.sandbox_id.clone(),
            execution_id: self.execution.execution_id.clone(),
            start_time: self.execution.start_time,
            attached: true,
        }
    }
}

/// Totals of standard output, standard error and the terminal.
fn totals(execution: &Execution, ended: &ExecutionEnded) -> [Option<ChannelTotals>; 3] {
    let so_far = execution.totals.unwrap_or_default();
    [
        ended.stdout.or(so_far.stdout),
        ended.stderr.or(so_far.stderr),
        ended.terminal.or(so_far.terminal),
    ]
}

/// The channels that there were, with what is left of each.
fn lanes(totals: &[Option<ChannelTotals>; 3], tails: &[OutputChunk]) -> Vec<Lane> {
    let channels = CHANNELS.into_iter().zip(totals);
    channels
        .filter_map(|(channel, totals)| {
            let tail = tails.iter().find(|tail| tail.channel() == channel);
            Some(Lane::new(channel, (*totals)?.bytes, tail))
        })
        .collect()
}
