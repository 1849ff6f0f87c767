//! One observer of one command, while its sandbox comes and goes: every byte once, or said to be gone.

use std::time::Duration;

use sandgate_proto::v1::{
    ExecResponse, ExecutionEnded, OutputChannel, OutputChunk, OutputGap, StreamExecutionRequest,
    StreamExecutionResponse, exec_response, execution_service_client::ExecutionServiceClient,
    stream_execution_response::Event,
};
use tokio::time::{Instant, timeout};
use tonic::Streaming;

use super::{
    answers::{Refusal, Verdict, judge},
    cover::Cover,
    errand::Errand,
    house::House,
};
use crate::failure::{Result, broken, ensure, same, some};

/// Longest silence on a stream; a keep-alive is due after 15 s of it.
const SILENCE: Duration = Duration::from_secs(40);
/// Longest time until a stream answers at all: what was cut off may have to be finished first.
const OPEN: Duration = Duration::from_secs(150);
/// Bytes of a channel that outlive the sandbox.
const TAIL: u64 = 64 * 1024;
/// Why bytes may be gone.
const GONE: &str = "SANDBOX_GONE";

/// What became of one stream.
pub(crate) enum Step {
    /// `ended` came, and nothing after it.
    Ended,
    /// It broke in a way that is allowed.
    Cut(String),
    /// There is nothing to see.
    Refused(Refusal),
}

/// A message of a stream of events.
pub(crate) trait Told: Send + 'static {
    /// What it tells.
    fn event(self) -> Option<Event>;
}

impl Told for StreamExecutionResponse {
    fn event(self) -> Option<Event> {
        self.event
    }
}

impl Told for ExecResponse {
    fn event(self) -> Option<Event> {
        Some(match self.event? {
            exec_response::Event::Started(event) => Event::Started(event),
            exec_response::Event::Output(event) => Event::Output(event),
            exec_response::Event::Gap(event) => Event::Gap(event),
            exec_response::Event::KeepAlive(event) => Event::KeepAlive(event),
            exec_response::Event::SnapshotEnd(event) => Event::SnapshotEnd(event),
            exec_response::Event::Ended(event) => Event::Ended(event),
        })
    }
}

/// An observer, over as many streams as it takes.
pub(crate) struct View<'a> {
    house: &'a House,
    errand: &'a Errand,
    cover: Cover,
    gone: u64,
}

impl<'a> View<'a> {
    /// An observer that has nothing yet.
    pub(crate) fn new(house: &'a House, errand: &'a Errand) -> Self {
        Self {
            house,
            errand,
            cover: Cover::default(),
            gone: 0,
        }
    }

    /// Follows it to its end, from where it was left.
    pub(crate) async fn follow(mut self) -> Result<std::result::Result<(), Refusal>> {
        let begin = Instant::now();
        let mut gate = self.house.caller.gate();
        loop {
            match self.stream(gate).await? {
                Step::Ended => return Ok(Ok(())),
                Step::Refused(refusal) => return Ok(Err(refusal)),
                Step::Cut(why) => {
                    let caller = &self.house.caller;
                    caller.again("StreamExecution", &why, begin).await?;
                }
            }
            gate += 1;
        }
    }

    async fn stream(&mut self, gate: usize) -> Result<Step> {
        let request = StreamExecutionRequest {
            session_id: self.house.session_id().to_owned(),
            sandbox_id: self.house.sandbox_id.clone(),
            execution_id: self.errand.id.clone(),
            stdout_offset: Some(self.cover.next()),
            follow: true,
            ..Default::default()
        };
        let mut calls = ExecutionServiceClient::new(self.house.caller.channel(gate));
        let opened = calls.stream_execution(request);
        self.read("StreamExecution", opened).await
    }

    /// Reads one stream to its end.
    pub(crate) async fn read<M: Told>(
        &mut self,
        rpc: &str,
        opened: impl Future<Output = std::result::Result<tonic::Response<Streaming<M>>, tonic::Status>>,
    ) -> Result<Step> {
        let was_changing = self.house.is_changing();
        let mut stream = match timeout(OPEN, Box::pin(opened)).await {
            Err(_) => return broken(format!("{rpc} gave no answer within {OPEN:?}")),
            Ok(Err(status)) => return self.cut(rpc, &status, was_changing),
            Ok(Ok(answer)) => answer.into_inner(),
        };
        let mut has_started = false;
        loop {
            let was_changing = self.house.is_changing();
            let limit = if has_started { SILENCE } else { OPEN };
            let message = match timeout(limit, stream.message()).await {
                Err(_) => return broken(format!("{rpc} is silent for {limit:?}")),
                Ok(Err(status)) => return self.cut(rpc, &status, was_changing),
                Ok(Ok(None)) => return broken(format!("{rpc} ended without ended")),
                Ok(Ok(Some(message))) => some("event", message.event())?,
            };
            match message {
                Event::Started(started) if !has_started => {
                    has_started = true;
                    let id = &self.errand.id;
                    same("started.execution_id", &started.execution_id, id)?;
                    self.house.book.acknowledge(id);
                }
                Event::KeepAlive(_) => {}
                Event::Output(chunk) if has_started => self.output(&chunk)?,
                Event::Gap(gap) if has_started => self.gap(&gap)?,
                Event::Ended(ended) if has_started => {
                    self.ended(rpc, &ended)?;
                    if let Ok(Ok(Some(_))) = timeout(SILENCE, stream.message()).await {
                        return broken(format!("{rpc}: an event after ended"));
                    }
                    return Ok(Step::Ended);
                }
                other => return broken(format!("{rpc}: {other:?}, started {has_started}")),
            }
        }
    }

    fn cut(&self, rpc: &str, status: &tonic::Status, was_changing: bool) -> Result<Step> {
        let changing = was_changing || self.house.is_changing();
        Ok(match judge(rpc, status, changing)? {
            Verdict::Repeat(why) => Step::Cut(why),
            Verdict::Refused(refusal) => Step::Refused(refusal),
        })
    }

    fn output(&mut self, chunk: &OutputChunk) -> Result<()> {
        let at = usize::try_from(chunk.offset).unwrap_or(usize::MAX);
        let due = self.errand.output.get(at..).unwrap_or_default();
        let is_right = chunk.channel() == OutputChannel::Stdout && due.starts_with(&chunk.data);
        ensure(is_right, || {
            format!(
                "{}: {:?} at offset {at} was not printed: {:?}…",
                self.errand.id,
                chunk.channel(),
                String::from_utf8_lossy(&chunk.data[..chunk.data.len().min(60)])
            )
        })?;
        let length = chunk.data.len() as u64;
        self.house.caller.tally.add().bytes += length;
        self.cover.add(chunk.offset..chunk.offset + length)
    }

    fn gap(&mut self, gap: &OutputGap) -> Result<()> {
        let deeds = self.house.deeds();
        ensure(
            (deeds.stop || deeds.delete) && gap.reason == GONE && gap.end_offset > gap.start_offset,
            || format!("{}: {gap:?} after {deeds:?}", self.errand.id),
        )?;
        if gap.channel() == OutputChannel::Stdout {
            self.gone += gap.end_offset - gap.start_offset;
            self.cover.add(gap.start_offset..gap.end_offset)?;
        }
        Ok(())
    }

    fn ended(&self, rpc: &str, ended: &ExecutionEnded) -> Result<()> {
        let id = &self.errand.id;
        let total = ended.stdout.unwrap_or_default().bytes;
        let checked = self.cover.check(total);
        checked.map_err(|failure| failure.at(&format!("{id} by {rpc}")))?;
        ensure(total - self.gone >= total.min(TAIL), || {
            format!("{id}: {} bytes of {total} are gone", self.gone)
        })?;
        let deeds = self.house.deeds();
        self.house.book.saw(rpc, id, ended, deeds)
    }
}
