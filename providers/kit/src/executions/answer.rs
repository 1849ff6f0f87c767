//! What a runner says, in the words of the contract.

use std::time::SystemTime;

use prost::Message as _;
use prost_types::{Duration, Timestamp};
use sandgate_proto::v1::{
    self, ChannelTotals, ExecResponse, ExecutionEnded, ExecutionStarted, ExecutionState, KeepAlive,
    OutputChunk, OutputGap, OutputTotals, SnapshotEnd, StreamExecutionResponse, exec_response,
    execution_ended::Outcome, stream_execution_response,
};
use sandgate_runner_proto::v1::{self as runner, Facts, Totals, ended::Outcome as Seen};

use crate::CallContext;

/// One event of a stream, whichever rpc it is for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Message {
    Started(ExecutionStarted),
    Output(OutputChunk),
    Gap(OutputGap),
    KeepAlive,
    SnapshotEnd(SnapshotEnd),
    Ended(ExecutionEnded),
}

impl From<Message> for ExecResponse {
    fn from(message: Message) -> Self {
        use exec_response::Event;
        let event = match message {
            Message::Started(started) => Event::Started(started),
            Message::Output(output) => Event::Output(output),
            Message::Gap(gap) => Event::Gap(gap),
            Message::KeepAlive => Event::KeepAlive(KeepAlive {}),
            Message::SnapshotEnd(end) => Event::SnapshotEnd(end),
            Message::Ended(ended) => Event::Ended(ended),
        };
        Self { event: Some(event) }
    }
}

impl From<Message> for StreamExecutionResponse {
    fn from(message: Message) -> Self {
        use stream_execution_response::Event;
        let event = match message {
            Message::Started(started) => Event::Started(ExecutionStarted {
                attached: true,
                ..started
            }),
            Message::Output(output) => Event::Output(output),
            Message::Gap(gap) => Event::Gap(gap),
            Message::KeepAlive => Event::KeepAlive(KeepAlive {}),
            Message::SnapshotEnd(end) => Event::SnapshotEnd(end),
            Message::Ended(ended) => Event::Ended(ended),
        };
        Self { event: Some(event) }
    }
}

/// Nanoseconds since 1970 as a time.
pub(crate) fn timestamp(ns: i64) -> Timestamp {
    const SECOND: i64 = 1_000_000_000;
    Timestamp {
        seconds: ns.div_euclid(SECOND),
        // Less than a second.
        nanos: ns.rem_euclid(SECOND) as i32,
    }
}

fn duration(ns: u64) -> Duration {
    // Cannot fail: 64 bits of nanoseconds are 584 years.
    std::time::Duration::from_nanos(ns)
        .try_into()
        .unwrap_or_default()
}

pub(super) fn snapshot_end(totals: Totals) -> SnapshotEnd {
    SnapshotEnd {
        totals: Some(output_totals(totals, &[])),
        running: true,
    }
}

fn output_totals(totals: Totals, truncated: &[i32]) -> OutputTotals {
    let channel = |bytes: Option<u64>, channel: runner::Channel| {
        bytes.map(|bytes| ChannelTotals {
            bytes,
            truncated: truncated.contains(&channel.into()),
        })
    };
    OutputTotals {
        stdout: channel(totals.stdout, runner::Channel::Stdout),
        stderr: channel(totals.stderr, runner::Channel::Stderr),
        terminal: channel(totals.terminal, runner::Channel::Terminal),
    }
}

/// How an execution ended.
pub(super) fn ended(ended: runner::Ended) -> ExecutionEnded {
    let totals = output_totals(ended.totals.unwrap_or_default(), &ended.truncated);
    let ran = !matches!(ended.outcome, Some(Seen::StartFailed(_)));
    let outcome = ended.outcome.map(|outcome| match outcome {
        Seen::ExitCode(code) => Outcome::ExitCode(code),
        Seen::Signaled(signaled) => Outcome::Signaled(v1::Signaled {
            signal: signaled.signal,
            oom_killed: signaled.oom_killed,
        }),
        Seen::TimedOut(_) => Outcome::TimedOut(v1::TimedOut {}),
        Seen::Cancelled(cancelled) => Outcome::Cancelled(v1::Cancelled { by: cancelled.by }),
        Seen::StartFailed(failed) => Outcome::StartFailed(v1::StartFailed {
            reason: failed.reason,
            message: failed.message,
        }),
    });
    ExecutionEnded {
        outcome,
        stdout: totals.stdout,
        stderr: totals.stderr,
        terminal: totals.terminal,
        end_time: Some(timestamp(ended.end_time_ns)),
        duration: ran.then(|| duration(ended.duration_ns)),
    }
}

/// The end of an execution of which nobody can know more; `seen`: bytes known of each channel.
pub(super) fn lost(reason: &'static str, seen: [u64; 3]) -> ExecutionEnded {
    let channel = |bytes, is_there: bool| {
        is_there.then_some(ChannelTotals {
            bytes,
            truncated: true,
        })
    };
    let [stdout, stderr, terminal] = seen;
    let on_terminal = terminal > 0;
    ExecutionEnded {
        outcome: Some(Outcome::Lost(v1::Lost {
            reason: reason.to_owned(),
        })),
        stdout: channel(stdout, !on_terminal),
        stderr: channel(stderr, !on_terminal),
        terminal: channel(terminal, on_terminal),
        end_time: Some(SystemTime::now().into()),
        duration: None,
    }
}

/// One execution as callers see it.
pub(crate) fn execution(context: &CallContext, seen: runner::Execution) -> v1::Execution {
    // The sandbox may have put anything there.
    let facts = Facts::decode(seen.facts).unwrap_or_default();
    let truncated = seen
        .ended
        .as_ref()
        .map_or(&[][..], |ended| &ended.truncated);
    let totals = output_totals(seen.totals.unwrap_or_default(), truncated);
    let state = if seen.ended.is_some() {
        ExecutionState::Ended
    } else {
        ExecutionState::Running
    };
    v1::Execution {
        session_id: context.owner.session_id.clone(),
        sandbox_id: context.sandbox_id.clone(),
        execution_id: seen.execution_id,
        state: state.into(),
        command: facts.command,
        argv: facts.argv,
        cwd: seen.cwd,
        user: seen.user,
        timeout: (facts.timeout_ms > 0).then(|| millis(facts.timeout_ms)),
        terminal: seen.terminal.map(|size| v1::TerminalSize {
            rows: size.rows,
            cols: size.cols,
        }),
        stdin_open: seen.stdin_open,
        stdin_accepted_offset: seen.stdin_accepted,
        start_time: Some(timestamp(seen.start_time_ns)),
        ended: seen.ended.map(ended),
        totals: Some(totals),
        output_expire_time: None,
        generation: context.generation,
    }
}

fn millis(millis: u64) -> Duration {
    std::time::Duration::from_millis(millis)
        .try_into()
        .unwrap_or_default()
}
