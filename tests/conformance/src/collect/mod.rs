//! Takes in the events of one stream and fails at the first that must not be: the order of events,
//! the offsets of every channel, and the totals at the end.

mod channel;
mod collected;

use sandgate_proto::v1::{
    ChannelTotals, ExecutionEnded, ExecutionStarted, OutputChannel, OutputTotals, SnapshotEnd,
    exec_response, execution_ended::Outcome, stream_execution_response,
};

pub(crate) use self::{
    channel::{Begin, Channel, Piece},
    collected::Collected,
};
use crate::failure::{Failure, broken, ensure, same};

/// An event of either stream; both have the same ones.
pub(crate) type Event = stream_execution_response::Event;

/// The same event, as StreamExecution has it.
pub(crate) fn event_of_exec(event: exec_response::Event) -> Event {
    match event {
        exec_response::Event::Started(started) => Event::Started(started),
        exec_response::Event::Output(chunk) => Event::Output(chunk),
        exec_response::Event::Gap(gap) => Event::Gap(gap),
        exec_response::Event::KeepAlive(alive) => Event::KeepAlive(alive),
        exec_response::Event::SnapshotEnd(end) => Event::SnapshotEnd(end),
        exec_response::Event::Ended(ended) => Event::Ended(ended),
    }
}

/// What is known of a stream before it begins.
#[derive(Clone, Debug)]
pub(crate) struct Expect {
    /// The sandbox; empty: any.
    pub(crate) sandbox_id: String,
    /// The execution; empty: any.
    pub(crate) execution_id: String,
    /// Whether `started` says that an earlier call started it; unset: either.
    pub(crate) attached: Option<bool>,
    /// Where standard output begins.
    pub(crate) stdout: Begin,
    /// Where standard error begins.
    pub(crate) stderr: Begin,
    /// Where the terminal begins.
    pub(crate) terminal: Begin,
    /// Whether snapshot_end may be the last event.
    pub(crate) snapshot: bool,
}

impl Default for Expect {
    fn default() -> Self {
        Self {
            sandbox_id: String::new(),
            execution_id: String::new(),
            attached: None,
            stdout: Begin::At(0),
            stderr: Begin::At(0),
            terminal: Begin::At(0),
            snapshot: false,
        }
    }
}

/// Takes in one stream.
#[derive(Clone, Debug)]
pub(crate) struct Collector {
    expect: Expect,
    started: Option<ExecutionStarted>,
    /// Standard output so far.
    pub(crate) stdout: Channel,
    /// Standard error so far.
    pub(crate) stderr: Channel,
    /// The terminal so far.
    pub(crate) terminal: Channel,
    ended: Option<ExecutionEnded>,
    snapshot: Option<SnapshotEnd>,
}

impl Collector {
    /// For a stream of which this is known.
    pub(crate) fn new(expect: Expect) -> Self {
        Self {
            stdout: Channel::new("stdout", expect.stdout),
            stderr: Channel::new("stderr", expect.stderr),
            terminal: Channel::new("terminal", expect.terminal),
            started: None,
            ended: None,
            snapshot: None,
            expect,
        }
    }

    /// The first event, once it came.
    pub(crate) fn started(&self) -> Option<&ExecutionStarted> {
        self.started.as_ref()
    }

    /// Whether the last event came.
    pub(crate) fn is_over(&self) -> bool {
        self.ended.is_some() || self.snapshot.is_some()
    }

    /// How it ended, once that came.
    pub(crate) fn outcome(&self) -> Option<&Outcome> {
        self.ended.as_ref().and_then(|ended| ended.outcome.as_ref())
    }

    /// Takes in one event.
    pub(crate) fn push(&mut self, event: Event) -> Result<(), Failure> {
        ensure(!self.is_over(), || {
            format!("an event after the last one: {}", name(&event))
        })?;
        if let Event::Started(started) = event {
            return self.start(started);
        }
        ensure(self.started.is_some(), || {
            format!("the first event is {}, due was started", name(&event))
        })?;
        match event {
            Event::Output(chunk) => self.channel(chunk.channel)?.output(&chunk),
            Event::Gap(gap) => self.channel(gap.channel)?.gap(gap),
            Event::SnapshotEnd(end) => self.snapshot_end(end),
            Event::Ended(ended) => self.end(ended),
            Event::Started(_) | Event::KeepAlive(_) => Ok(()),
        }
    }

    /// Closes the stream; fails if its last event did not come.
    pub(crate) fn finish(self) -> Result<Collected, Failure> {
        let started = self
            .started
            .ok_or_else(|| broken("the stream ended without a single event"))?;
        if self.ended.is_none() && self.snapshot.is_none() {
            return Err(broken(format!(
                "the stream ended well but without `ended`, after {:?} of stdout, {:?} of stderr",
                self.stdout.outline(),
                self.stderr.outline(),
            )));
        }
        Ok(Collected {
            started,
            stdout: self.stdout,
            stderr: self.stderr,
            terminal: self.terminal,
            ended: self.ended,
            snapshot: self.snapshot,
        })
    }

    fn start(&mut self, started: ExecutionStarted) -> Result<(), Failure> {
        ensure(self.started.is_none(), || "started came twice")?;
        let expect = &self.expect;
        if !expect.sandbox_id.is_empty() {
            same(
                "started.sandbox_id",
                &started.sandbox_id,
                &expect.sandbox_id,
            )?;
        }
        ensure(
            !started.execution_id.is_empty(),
            || "started.execution_id is empty",
        )?;
        if !expect.execution_id.is_empty() {
            same(
                "started.execution_id",
                &started.execution_id,
                &expect.execution_id,
            )?;
        }
        if let Some(attached) = expect.attached {
            same("started.attached", started.attached, attached)?;
        }
        self.started = Some(started);
        Ok(())
    }

    fn channel(&mut self, number: i32) -> Result<&mut Channel, Failure> {
        let channel = OutputChannel::try_from(number).unwrap_or_default();
        let terminal = channel == OutputChannel::Terminal;
        let other = if terminal {
            !self.stdout.is_empty() || !self.stderr.is_empty()
        } else {
            !self.terminal.is_empty()
        };
        ensure(!other, || "output on a terminal and on pipes in one stream")?;
        match channel {
            OutputChannel::Stdout => Ok(&mut self.stdout),
            OutputChannel::Stderr => Ok(&mut self.stderr),
            OutputChannel::Terminal => Ok(&mut self.terminal),
            OutputChannel::Unspecified => Err(broken(format!("output of channel {number}"))),
        }
    }

    fn snapshot_end(&mut self, end: SnapshotEnd) -> Result<(), Failure> {
        ensure(
            self.expect.snapshot,
            || "snapshot_end in a stream that follows",
        )?;
        ensure(end.running, || "snapshot_end.running is false")?;
        let totals = end
            .totals
            .ok_or_else(|| broken("snapshot_end without totals"))?;
        self.totals("snapshot_end", &totals)?;
        self.snapshot = Some(end);
        Ok(())
    }

    fn end(&mut self, ended: ExecutionEnded) -> Result<(), Failure> {
        let Some(outcome) = &ended.outcome else {
            return Err(broken("ended without an outcome"));
        };
        let ran = !matches!(outcome, Outcome::StartFailed(_) | Outcome::Lost(_));
        ensure(ended.end_time.is_some(), || "ended without end_time")?;
        ensure(ended.duration.is_some() == ran, || {
            format!("ended.duration is {:?} with {outcome:?}", ended.duration)
        })?;
        let has_channel =
            ended.stdout.is_some() || ended.stderr.is_some() || ended.terminal.is_some();
        ensure(has_channel || !ran, || "ended without totals")?;
        let totals = OutputTotals {
            stdout: ended.stdout,
            stderr: ended.stderr,
            terminal: ended.terminal,
        };
        // With pipes both channels are there, also if nothing was written.
        let on_pipes = ended.terminal.is_none() && ran;
        ensure(
            !on_pipes || (ended.stdout.is_some() && ended.stderr.is_some()),
            || "ended lacks the totals of stdout or stderr",
        )?;
        self.totals("ended", &totals)?;
        self.ended = Some(ended);
        Ok(())
    }

    fn totals(&self, place: &str, totals: &OutputTotals) -> Result<(), Failure> {
        counted(place, "stdout", &self.stdout, totals.stdout.as_ref())?;
        counted(place, "stderr", &self.stderr, totals.stderr.as_ref())?;
        counted(place, "terminal", &self.terminal, totals.terminal.as_ref())
    }
}

/// Fails unless the totals of a channel are what came of it.
fn counted(
    place: &str,
    name: &str,
    channel: &Channel,
    totals: Option<&ChannelTotals>,
) -> Result<(), Failure> {
    let Some(totals) = totals else {
        return ensure(channel.is_empty(), || {
            format!("{name} had output, but {place} has no totals of it")
        });
    };
    if channel.first().is_some() {
        same(
            &format!("{place}.{name}.bytes (the bytes received end there)"),
            totals.bytes,
            channel.next(),
        )?;
    }
    let gone = channel.pieces().iter().any(|piece| {
        matches!(piece, Piece::Gap { reason, .. } if reason == "OUTPUT_LIMIT" || reason == "DISK_FULL")
    });
    ensure(!gone || totals.truncated, || {
        format!("{name} had a gap, but {place}.{name}.truncated is false")
    })
}

fn name(event: &Event) -> &'static str {
    match event {
        Event::Started(_) => "started",
        Event::Output(_) => "output",
        Event::Gap(_) => "gap",
        Event::KeepAlive(_) => "keep_alive",
        Event::SnapshotEnd(_) => "snapshot_end",
        Event::Ended(_) => "ended",
    }
}

#[cfg(test)]
#[path = "collect_tests.rs"]
mod tests;
