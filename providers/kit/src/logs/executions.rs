//! Output of executions, line by line. First what there is, one execution after the other; then,
//! for a reader who follows, all that run at once.

mod look;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures::future::select_all;
use sandgate_proto::v1::{LogEntry, LogSource, OutputChannel};
use tokio::time::{Instant, sleep_until};

use super::{
    cursor::Place,
    known::Known,
    lines::{Line, Lines},
};
use crate::{
    CallContext, Kind, Provider, ProviderError,
    executions::{Executions, Follow, From, Message},
    runner::place,
};

/// Executions that are followed at once; further ones wait.
const AT_ONCE: usize = 32;
/// How often a follower looks for new executions.
const LOOK: Duration = Duration::from_secs(1);
/// Most lines and bytes that wait until the last ones are known.
const TAIL_LINES: usize = 10_000;
const TAIL_BYTES: usize = 8 * 1024 * 1024;

/// The lines of all executions of a sandbox.
pub(super) struct ExecutionLogs<P> {
    executions: Arc<Executions<P>>,
    context: CallContext,
    place: Place,
    follow: bool,
    /// Lines to keep of what there is before any is given out.
    tail: Option<usize>,
    /// What there is has been read.
    caught_up: bool,
    waiting: VecDeque<(Known, [u64; 3], bool)>,
    active: Vec<Reading<P>>,
    out: VecDeque<(LogEntry, Place)>,
    /// Bytes in `out`, while they are counted.
    held: usize,
    look: Instant,
}

struct Reading<P> {
    number: u64,
    id: String,
    follow: Follow<P>,
    channels: [Lines; 3],
}

impl<P: Provider> ExecutionLogs<P> {
    pub(super) fn new(
        executions: Arc<Executions<P>>,
        context: CallContext,
        place: Place,
        follow: bool,
    ) -> Self {
        Self {
            executions,
            context,
            place,
            follow,
            tail: None,
            caught_up: false,
            waiting: VecDeque::new(),
            active: Vec::new(),
            out: VecDeque::new(),
            held: 0,
            look: Instant::now(),
        }
    }

    /// The next line and the place after it; none at the end. Cancel-safe.
    pub(super) async fn next(&mut self) -> Result<Option<(LogEntry, Place)>, ProviderError> {
        loop {
            if self.tail.is_none()
                && let Some(entry) = self.out.pop_front()
            {
                return Ok(Some(entry));
            }
            self.attach().await?;
            if self.active.is_empty() && !self.caught_up {
                self.caught_up = true;
                self.tail = None;
                self.look = Instant::now();
                continue;
            }
            if self.caught_up && !self.follow {
                return Ok(None);
            }
            let (message, index) = tokio::select! {
                next = next_of(&mut self.active), if !self.active.is_empty() => next,
                () = sleep_until(self.look), if self.caught_up => {
                    if !self.look_again().await? {
                        return Ok(None);
                    }
                    continue;
                }
            };
            self.take(index, message?);
        }
    }

    /// Begins to read what waits, as far as there is room.
    async fn attach(&mut self) -> Result<(), ProviderError> {
        let room = if self.caught_up { AT_ONCE } else { 1 };
        while self.active.len() < room
            && let Some((known, offsets, inside)) = self.waiting.front().cloned()
        {
            let from = From {
                offsets: offsets.map(Some),
                tail: None,
                follow: self.caught_up,
            };
            let begun = self
                .executions
                .observe(self.context.clone(), &known.id, from);
            match begun.await {
                Ok(follow) => {
                    self.place.set(known.number, offsets);
                    self.active.push(Reading {
                        number: known.number,
                        id: known.id,
                        follow,
                        channels: offsets.map(|offset| Lines::new(offset, inside && offset > 0)),
                    });
                }
                Err(error) if *error.kind() == Kind::ExecutionNotFound => {
                    self.place.done(known.number);
                    self.push_gap(known.id, OutputChannel::Unspecified);
                }
                Err(error) => return Err(error),
            }
            self.waiting.pop_front();
        }
        Ok(())
    }

    fn take(&mut self, index: usize, message: Message) {
        let reading = &mut self.active[index];
        let (number, id) = (reading.number, reading.id.clone());
        match message {
            Message::Output(chunk) => {
                let lines = reading.channels[place(chunk.channel)].push(&chunk.data);
                self.push(index, chunk.channel, lines);
            }
            Message::Gap(gap) => {
                let rest = reading.channels[place(gap.channel)].finish();
                self.push(index, gap.channel, rest);
                self.active[index].channels[place(gap.channel)] = Lines::new(gap.end_offset, false);
                self.place.set(number, self.active[index].offsets());
                self.push_gap(id, gap.channel());
            }
            Message::SnapshotEnd(_) => {
                self.active.swap_remove(index);
            }
            Message::Ended(_) => {
                for channel in 1..=3 {
                    let rest = self.active[index].channels[place(channel)].finish();
                    self.push(index, channel, rest);
                }
                self.active.swap_remove(index);
                self.place.done(number);
            }
            Message::Started(_) | Message::KeepAlive => {}
        }
    }

    fn push(&mut self, index: usize, channel: i32, lines: impl IntoIterator<Item = Line>) {
        let Some(reading) = self.active.get(index) else {
            return;
        };
        let (number, id, mut offsets) = (reading.number, reading.id.clone(), reading.offsets());
        for (data, next) in lines {
            if let Some(offset) = usize::try_from(channel - 1)
                .ok()
                .and_then(|place| offsets.get_mut(place))
            {
                *offset = next;
            }
            self.place.set(number, offsets);
            self.put(LogEntry {
                execution_id: id.clone(),
                source: LogSource::Executions.into(),
                channel,
                data,
                ..LogEntry::default()
            });
        }
    }

    fn push_gap(&mut self, execution_id: String, channel: OutputChannel) {
        self.put(LogEntry {
            execution_id,
            source: LogSource::Executions.into(),
            level: "GAP".into(),
            channel: channel.into(),
            ..LogEntry::default()
        });
    }

    fn put(&mut self, entry: LogEntry) {
        self.held += entry.data.len();
        self.out.push_back((entry, self.place.clone()));
        let Some(tail) = self.tail else { return };
        while self.out.len() > tail || self.held > TAIL_BYTES {
            let Some((dropped, _)) = self.out.pop_front() else {
                return;
            };
            self.held -= dropped.data.len();
        }
    }
}

impl<P> Reading<P> {
    fn offsets(&self) -> [u64; 3] {
        [0, 1, 2].map(|place| self.channels[place].offset())
    }
}

async fn next_of<P: Provider>(
    active: &mut [Reading<P>],
) -> (Result<Message, ProviderError>, usize) {
    let each = active
        .iter_mut()
        .map(|reading| Box::pin(reading.follow.next()));
    let (message, index, _) = select_all(each).await;
    (message, index)
}
