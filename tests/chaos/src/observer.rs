//! One observer of one execution: it compares every byte, and goes on where a kill cut it off.

use std::time::Duration;

use sandgate_proto::v1::{
    ChannelTotals, ExecutionEnded, OutputChannel, OutputChunk, StreamExecutionRequest,
    execution_ended::Outcome, stream_execution_response::Event,
};
use tokio::time::{Instant, sleep, timeout};
use tonic::{Code, Status, Streaming};

use crate::{
    client::{Client, PATIENCE, PAUSE},
    failure::{Failure, Result, broken, describe, ensure, is_from_here, same, some},
    plan::{Due, Work},
    sandbox::Sandbox,
};

/// Longest silence on a stream; a keep-alive is due after 15 s of it.
const SILENCE: Duration = Duration::from_secs(40);
/// How much longer than its timeout an execution may live: grace, and a busy machine.
const LATE: Duration = Duration::from_secs(15);

type Events = Streaming<sandgate_proto::v1::StreamExecutionResponse>;

/// What became of one stream.
enum Step {
    /// `ended` came, and nothing after it.
    Ended(Box<ExecutionEnded>),
    /// It broke in a way that a kill explains.
    Cut,
}

/// One observer.
pub(crate) struct Observer<'a> {
    sandbox: &'a Sandbox,
    work: &'a Work,
    /// What it has of stdout and stderr.
    offsets: [usize; 2],
    /// It reads slowly.
    pub(crate) pause: Duration,
    cut_at: Option<Instant>,
}

impl<'a> Observer<'a> {
    /// An observer that has nothing yet.
    pub(crate) fn new(sandbox: &'a Sandbox, work: &'a Work) -> Self {
        Self {
            sandbox,
            work,
            offsets: [0; 2],
            pause: Duration::ZERO,
            cut_at: None,
        }
    }

    /// Reads all there is, over as many streams as it takes, and checks it against what is due.
    pub(crate) async fn watch(mut self) -> Result<ExecutionEnded> {
        let ended = self.read().await?;
        self.check_outcome(&ended)?;
        Ok(ended)
    }

    /// The same for one that is due to be lost.
    pub(crate) async fn watch_lost(mut self) -> Result<ExecutionEnded> {
        let ended = self.read().await?;
        let outcome = some("outcome", ended.outcome.clone())?;
        ensure(matches!(outcome, Outcome::Lost(_)), || {
            format!("{}: ended {outcome:?}, due was lost", self.work.id)
        })?;
        Ok(ended)
    }

    async fn read(&mut self) -> Result<ExecutionEnded> {
        loop {
            let id = &self.work.id;
            match self.stream().await.map_err(|failure| failure.at(id))? {
                Step::Ended(ended) => return Ok(*ended),
                Step::Cut => {
                    let since = *self.cut_at.get_or_insert_with(Instant::now);
                    ensure(since.elapsed() < PATIENCE, || {
                        format!("{id}: no stream again within {PATIENCE:?}")
                    })?;
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// One stream, from where the one before was cut.
    async fn stream(&mut self) -> Result<Step> {
        let client = &self.sandbox.client;
        let blows = client.blows();
        let [stdout, stderr] = self.offsets.map(|offset| offset as u64);
        let request = StreamExecutionRequest {
            stdout_offset: Some(stdout),
            stderr_offset: Some(stderr),
            follow: true,
            session_id: self.sandbox.session_id.clone(),
            sandbox_id: self.sandbox.sandbox_id.clone(),
            execution_id: self.work.id.clone(),
            ..Default::default()
        };
        let mut calls = client.executions();
        let mut events = match timeout(SILENCE, calls.stream_execution(request)).await {
            Err(_) => return broken(format!("StreamExecution is silent for {SILENCE:?}")),
            Ok(Err(status)) => return cut(client, &status),
            Ok(Ok(answer)) => answer.into_inner(),
        };
        match next(&mut events).await? {
            Ok(Some(Event::Started(started))) => {
                same("started.execution_id", &started.execution_id, &self.work.id)?;
                ensure(started.attached, || {
                    "started.attached is false on StreamExecution".to_owned()
                })?;
            }
            Ok(other) => return broken(format!("the first event is {other:?}, due was started")),
            Err(status) => return cut(client, &status),
        }
        if let Some(cut_at) = self.cut_at.take() {
            client.tally.add().resumes.push(cut_at.elapsed());
        }
        loop {
            match next(&mut events).await? {
                Ok(Some(Event::Output(chunk))) => self.output(&chunk)?,
                Ok(Some(Event::KeepAlive(_))) => {}
                Ok(Some(Event::Ended(ended))) => return self.end(ended, &mut events).await,
                Ok(other) => return broken(format!("{other:?} in a stream that follows")),
                Err(status) => return cut_within(client, &status, blows),
            }
            if !self.pause.is_zero() {
                sleep(self.pause).await;
            }
        }
    }

    fn output(&mut self, chunk: &OutputChunk) -> Result<()> {
        let channel = OutputChannel::try_from(chunk.channel).unwrap_or_default();
        let place = match channel {
            OutputChannel::Stdout => 0,
            OutputChannel::Stderr => 1,
            other => return broken(format!("output of channel {}", other.as_str_name())),
        };
        let (at, length) = (self.offsets[place], chunk.data.len());
        let name = channel.as_str_name();
        ensure(chunk.offset == at as u64, || {
            format!("{name}: a chunk at offset {}, due was {at}", chunk.offset)
        })?;
        let due = self.work.output[place].get(at..at + length);
        ensure(due == Some(&chunk.data[..]), || {
            format!(
                "{name}: {length} bytes at offset {at} are not those that were printed: {:?}…",
                String::from_utf8_lossy(&chunk.data[..length.min(60)])
            )
        })?;
        self.offsets[place] += length;
        self.sandbox.client.tally.add().bytes += length as u64;
        Ok(())
    }

    /// `ended` came: it has to agree with what came before, and nothing may follow.
    async fn end(&self, ended: ExecutionEnded, events: &mut Events) -> Result<Step> {
        self.check_totals(&ended)?;
        if let Ok(Some(event)) = next(events).await? {
            return broken(format!("{event:?} after ended"));
        }
        Ok(Step::Ended(Box::new(ended)))
    }

    fn check_totals(&self, ended: &ExecutionEnded) -> Result<()> {
        // What is lost is kept nowhere any more, and says so.
        let lost = matches!(ended.outcome, Some(Outcome::Lost(_)));
        let ran = !lost && !matches!(ended.outcome, Some(Outcome::StartFailed(_)));
        for (place, name, totals) in [(0, "stdout", ended.stdout), (1, "stderr", ended.stderr)] {
            let seen = ChannelTotals {
                bytes: self.offsets[place] as u64,
                truncated: lost && totals.is_some_and(|totals| totals.truncated),
            };
            match totals {
                Some(totals) => same(&format!("ended.{name}"), &totals, &seen)?,
                None => ensure(!ran, || format!("ended has no totals of {name}"))?,
            }
        }
        Ok(())
    }

    fn check_outcome(&self, ended: &ExecutionEnded) -> Result<()> {
        let (work, outcome) = (self.work, some("outcome", ended.outcome.clone())?);
        let is_due = match (work.due, &outcome) {
            (Due::Exit(due), Outcome::ExitCode(code)) => due == *code,
            (Due::Signal(due), Outcome::Signaled(by)) => due == by.signal,
            (Due::TimedOut, Outcome::TimedOut(_)) => true,
            (Due::StartFailed, Outcome::StartFailed(why)) => why.reason == "PROGRAM_NOT_FOUND",
            _ => false,
        };
        ensure(is_due, || {
            format!("{}: ended {outcome:?}, due was {:?}", work.id, work.due)
        })?;
        for (place, name) in ["stdout", "stderr"].into_iter().enumerate() {
            let (seen, due) = (self.offsets[place], work.output[place].len());
            ensure(seen == due || work.may_print_less(), || {
                format!("{}: {name} ends at {seen}, due was {due}", work.id)
            })?;
        }
        let Some(limit) = work.timeout else {
            return Ok(());
        };
        let lived = some("duration", ended.duration)?;
        let lived = Duration::try_from(lived).unwrap_or_default();
        ensure((limit..limit + LATE).contains(&lived), || {
            format!("{}: timed out after {lived:?}, due was {limit:?}", work.id)
        })
    }
}

async fn next(events: &mut Events) -> Result<std::result::Result<Option<Event>, Status>> {
    match timeout(SILENCE, events.message()).await {
        Err(_) => broken(format!("a stream is silent for {SILENCE:?}")),
        Ok(Ok(Some(message))) => Ok(Ok(Some(some("event", message.event)?))),
        Ok(Ok(None)) => Ok(Ok(None)),
        Ok(Err(status)) => Ok(Err(status)),
    }
}

/// A stream that did not come about.
fn cut(client: &Client, status: &Status) -> Result<Step> {
    if client.is_passing("StreamExecution", status) {
        return Ok(Step::Cut);
    }
    Err(Failure::Broken(format!(
        "StreamExecution answered {}",
        describe(status)
    )))
}

/// A stream that broke. Without a blow to the gateway the connection to it has to hold.
fn cut_within(client: &Client, status: &Status, blows: u64) -> Result<Step> {
    ensure(!is_from_here(status) || client.blows() != blows, || {
        format!(
            "a stream broke without a status while the gateway lived: {}",
            describe(status)
        )
    })?;
    ensure(status.code() != Code::Ok, || {
        "a stream ended without ended".to_owned()
    })?;
    cut(client, status)
}
