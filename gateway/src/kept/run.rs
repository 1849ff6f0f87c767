//! `RunCommand` of a command that has run: its answer from what is kept of the output.

use bytes::Bytes;
use sandgate_proto::{
    Problem,
    v1::{OutputChannel, OutputKeep, RunCommandRequest, RunCommandResponse},
};

use super::past::Past;
use crate::problem::Result;

/// Most that can be wanted of a channel.
const MOST: u64 = 1024 * 1024;

/// As much of the output as is wanted and kept, and how it ended.
pub(super) fn response(past: &Past, asked: &RunCommandRequest) -> Result<RunCommandResponse> {
    let (head, tail) = wanted(asked)?;
    let mut response = RunCommandResponse {
        sandbox_id: past.execution.sandbox_id.clone(),
        execution_id: past.id().to_owned(),
        ended: Some(past.ended.clone()),
        ..Default::default()
    };
    for lane in &past.lanes {
        let (bytes, gaps) = lane.cut(head, tail);
        *place(&mut response, lane.channel()) = bytes;
        response.gaps.extend(gaps);
    }
    Ok(response)
}

/// How much of the beginning and of the end of each channel.
fn wanted(asked: &RunCommandRequest) -> Result<(usize, usize)> {
    let limit = asked.max_output_bytes.unwrap_or(MOST);
    let limit = usize::try_from(limit)
        .ok()
        .filter(|_| limit <= MOST)
        .ok_or_else(|| {
            Problem::invalid_field(
                "max_output_bytes",
                "is at most 1,048,576; read more with StreamExecution",
            )
        })?;
    let head = match asked.keep() {
        OutputKeep::Tail => 0,
        OutputKeep::Unspecified | OutputKeep::HeadTail => limit.div_ceil(2),
    };
    Ok((head, limit - head))
}

fn place(response: &mut RunCommandResponse, channel: OutputChannel) -> &mut Bytes {
    match channel {
        OutputChannel::Terminal => &mut response.terminal,
        OutputChannel::Stderr => &mut response.stderr,
        OutputChannel::Stdout | OutputChannel::Unspecified => &mut response.stdout,
    }
}
