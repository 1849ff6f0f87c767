//! What calls that look at one execution are answered with when its sandbox cannot be asked: the
//! same messages as its provider's.

use bytes::Bytes;
use prost::Message;
use sandgate_proto::{
    Problem, Reason,
    v1::{
        GetExecutionRequest, GetExecutionResponse, OutputChannel, StreamExecutionRequest,
        StreamExecutionResponse, WaitExecutionRequest, WaitExecutionResponse,
        stream_execution_response::Event,
    },
};
use uuid::Uuid;

use super::{Kept, lane::Lane, past::Past};
use crate::problem::Result;

/// The messages of an answer, encoded.
pub(crate) type Messages = Vec<Bytes>;

impl Kept {
    /// Answers a look at executions of a sandbox, in a session of the caller's own; none where nothing
    /// that is asked for is kept. `message`: the request as it was sent.
    pub(crate) async fn answer(
        &self,
        session_id: Uuid,
        sandbox_id: Uuid,
        rpc: &str,
        message: &[u8],
    ) -> Result<Option<Messages>> {
        match rpc {
            "StreamExecution" => {
                let asked: StreamExecutionRequest = decoded(message)?;
                let found = self.find(session_id, sandbox_id, &asked.execution_id);
                let found = found.await?;
                found.map(|(_, past)| stream(&past, &asked)).transpose()
            }
            "GetExecution" => {
                let asked: GetExecutionRequest = decoded(message)?;
                let found = self.find(session_id, sandbox_id, &asked.execution_id);
                Ok(found.await?.map(|(_, past)| {
                    one(&GetExecutionResponse {
                        execution: Some(past.execution()),
                    })
                }))
            }
            "WaitExecution" => {
                let asked: WaitExecutionRequest = decoded(message)?;
                check_wait(&asked)?;
                let found = self.find(session_id, sandbox_id, &asked.execution_id);
                Ok(found.await?.map(|(_, past)| {
                    one(&WaitExecutionResponse {
                        execution: Some(past.execution()),
                    })
                }))
            }
            "ListExecutions" => {
                let asked = decoded(message)?;
                let listed = self.list(session_id, sandbox_id, &asked).await?;
                Ok(listed.map(|listed| one(&listed)))
            }
            _ => Ok(None),
        }
    }
}

/// A request. The relay has walked it, but not looked at all of its fields.
pub(super) fn decoded<M: Message + Default>(message: &[u8]) -> Result<M> {
    M::decode(message).map_err(|_| {
        Problem::invalid_field(
            "message",
            "cannot be read; check that client and gateway use the same contract",
        )
    })
}

/// An answer of one message.
pub(super) fn one(message: &impl Message) -> Messages {
    vec![message.encode_to_vec().into()]
}

/// The events of a stream, each channel from its offset.
pub(super) fn events(past: &Past, offset: impl Fn(&Lane) -> u64) -> Messages {
    let first = Event::Started(past.started());
    let output = past.lanes.iter().flat_map(|lane| lane.events(offset(lane)));
    let last = Event::Ended(past.ended.clone());
    [first]
        .into_iter()
        .chain(output)
        .chain([last])
        .map(|event| StreamExecutionResponse { event: Some(event) })
        .map(|message| message.encode_to_vec().into())
        .collect()
}

fn stream(past: &Past, asked: &StreamExecutionRequest) -> Result<Messages> {
    let wanted = |lane: &Lane| match lane.channel() {
        OutputChannel::Terminal => asked.terminal_offset,
        OutputChannel::Stderr => asked.stderr_offset,
        OutputChannel::Stdout | OutputChannel::Unspecified => asked.stdout_offset,
    };
    for lane in &past.lanes {
        if wanted(lane).is_some_and(|offset| offset > lane.total()) {
            return Err(out_of_range(past, lane));
        }
    }
    Ok(events(past, |lane| {
        let tail = asked
            .tail_bytes
            .map(|tail| lane.total().saturating_sub(tail));
        wanted(lane).or(tail).unwrap_or_default()
    }))
}

fn out_of_range(past: &Past, lane: &Lane) -> Problem {
    let total = lane.total();
    Problem::new(
        Reason::OffsetOutOfRange,
        format!("there are {total} bytes so far; ask from there on at most"),
    )
    .with("offset", total)
    .with("channel", lane.channel().as_str_name())
    .with("execution_id", past.id())
    .with("sandbox_id", &past.execution.sandbox_id)
}

fn check_wait(asked: &WaitExecutionRequest) -> Result<()> {
    match asked.wait_timeout.map(std::time::Duration::try_from) {
        None | Some(Ok(_)) => Ok(()),
        Some(Err(_)) => Err(Problem::invalid_field(
            "wait_timeout",
            "must not be negative; leave it unset to wait as long as the call lasts",
        )),
    }
}
