//! One observation: what the runner may send on it, and the reader's end.

use std::sync::Arc;

use sandgate_runner_proto::{
    OUTPUT_BYTES,
    v1::{Ended, Gap, Output, SnapshotEnd, Started, ToRunner, Totals, from_runner::Body},
};
use tokio::{
    sync::{Notify, mpsc::Sender},
    time::{Instant, sleep_until},
};

use super::{LinkError, Refusal, Seen, Violation, check, link::Shared, queue::Queue};

/// Output that may be under way to a reader.
pub(super) const WINDOW: u64 = 1024 * 1024;
/// Bytes taken after which the runner may send as many more.
const CREDIT_STEP: u64 = WINDOW / 4;

/// The runner's side of an observation, as far as it is checked.
#[derive(Debug)]
pub(super) struct Watched {
    execution_id: String,
    follow: bool,
    began: Option<Result<Started, Refusal>>,
    begun: bool,
    ended: bool,
    /// The next byte of each channel.
    next: [u64; 3],
    touched: [bool; 3],
    credit: u64,
    owed: u64,
    queue: Queue,
    notify: Arc<Notify>,
}

impl Watched {
    /// An observation from these offsets; the runner may send `credit` bytes.
    pub(super) fn new(
        execution_id: String,
        follow: bool,
        next: [u64; 3],
        credit: u64,
        notify: Arc<Notify>,
    ) -> Self {
        Self {
            execution_id,
            follow,
            began: None,
            begun: false,
            ended: false,
            next,
            touched: [false; 3],
            credit,
            owed: 0,
            queue: Queue::default(),
            notify,
        }
    }

    pub(super) fn notify(&self) {
        self.notify.notify_one();
    }

    /// Whether nothing more may come.
    pub(super) const fn is_over(&self) -> bool {
        self.ended
    }

    /// Takes an answer of the runner, if it may come now.
    pub(super) fn accept(&mut self, body: Body) -> Result<(), Violation> {
        if self.ended {
            return Err(Violation::Unexpected);
        }
        match body {
            Body::Started(started) if !self.begun => {
                if started.execution_id != self.execution_id {
                    return Err(Violation::Field("execution_id"));
                }
                self.begun = true;
                self.began = Some(Ok(started));
            }
            Body::Refused(refused) if !self.begun => {
                (self.begun, self.ended) = (true, true);
                self.began = Some(Err(check::refusal(&refused)));
            }
            Body::Output(output) if self.begun => self.output(output)?,
            Body::Gap(gap) if self.begun => self.gap(gap)?,
            Body::SnapshotEnd(end) if self.begun && !self.follow => self.snapshot_end(end)?,
            Body::Ended(ended) if self.begun => self.end(ended)?,
            _ => return Err(Violation::Unexpected),
        }
        self.notify();
        Ok(())
    }

    fn output(&mut self, output: Output) -> Result<(), Violation> {
        let size = output.data.len() as u64;
        if output.data.is_empty() || output.data.len() > OUTPUT_BYTES {
            return Err(Violation::Field("data"));
        }
        self.credit = self.credit.checked_sub(size).ok_or(Violation::Credit)?;
        self.advance(output.channel, output.offset, Some(size))?;
        self.queue
            .output(output.channel, output.offset, output.data)
    }

    fn gap(&mut self, gap: Gap) -> Result<(), Violation> {
        let Gap {
            channel,
            start_offset,
            end_offset,
            reason,
        } = gap;
        let size = end_offset.checked_sub(start_offset);
        self.advance(channel, start_offset, size)?;
        self.queue.gap(Gap {
            channel,
            start_offset,
            end_offset,
            reason: check::reason(&reason),
        })
    }

    fn advance(&mut self, channel: i32, from: u64, size: Option<u64>) -> Result<(), Violation> {
        let place = check::channel(channel)?;
        let expected = self.next[place];
        if from != expected {
            return Err(Violation::Offset {
                channel,
                expected,
                found: from,
            });
        }
        let size = size.filter(|size| *size > 0);
        let end = size.and_then(|size| from.checked_add(size));
        self.next[place] = end.ok_or(Violation::Field("offset"))?;
        self.touched[place] = true;
        Ok(())
    }

    fn snapshot_end(&mut self, end: SnapshotEnd) -> Result<(), Violation> {
        let totals = end.totals.ok_or(Violation::Field("totals"))?;
        self.settle(&totals)?;
        self.finish(Seen::SnapshotEnd(totals));
        Ok(())
    }

    fn end(&mut self, mut ended: Ended) -> Result<(), Violation> {
        check::ended(&mut ended)?;
        self.settle(&ended.totals.unwrap_or_default())?;
        self.finish(Seen::Ended(Box::new(ended)));
        Ok(())
    }

    /// The end says what was sent, of every channel that there is.
    fn settle(&self, totals: &Totals) -> Result<(), Violation> {
        let totals = check::totals(totals);
        let fits = (0..3).all(|place| match totals[place] {
            Some(total) => total == self.next[place],
            None => !self.touched[place],
        });
        fits.then_some(()).ok_or(Violation::Totals)
    }

    fn finish(&mut self, last: Seen) {
        self.ended = true;
        self.queue.end(last);
    }

    /// The first thing that waits for the reader. The bytes taken count as credit.
    pub(super) fn take(&mut self) -> Option<Seen> {
        let seen = self.queue.take()?;
        if let Seen::Output { data, .. } = &seen {
            self.owed += data.len() as u64;
        }
        Some(seen)
    }

    /// Credit to send, once there is enough of it.
    pub(super) fn wants_credit(&self) -> bool {
        self.owed >= CREDIT_STEP && !self.ended
    }

    /// The credit to send now; from here on it counts as given.
    pub(super) fn give(&mut self) -> u64 {
        let bytes = std::mem::take(&mut self.owed);
        self.credit += bytes;
        bytes
    }
}

/// How an observation began.
#[derive(Clone, Debug)]
pub(crate) struct Began {
    /// Wall clock of the start, nanoseconds since 1970.
    pub(crate) start_time_ns: i64,
    /// An earlier start made it.
    pub(crate) attached: bool,
}

/// The reader's end of an observation. Dropping it ends the observation.
pub(crate) struct Watch {
    shared: Arc<Shared>,
    call: u64,
    notify: Arc<Notify>,
    /// The connection lives as long as somebody can send on it.
    _outbox: Sender<ToRunner>,
}

impl Watch {
    pub(super) fn new(
        shared: Arc<Shared>,
        call: u64,
        notify: Arc<Notify>,
        outbox: Sender<ToRunner>,
    ) -> Self {
        Self {
            shared,
            call,
            notify,
            _outbox: outbox,
        }
    }

    /// Waits for the start. Cancel-safe.
    pub(super) async fn began(&mut self) -> Result<Began, LinkError> {
        loop {
            if let Some(began) = self.poll(|watched| watched.began.take())? {
                return match began {
                    Ok(started) => Ok(Began {
                        start_time_ns: started.start_time_ns,
                        attached: started.attached,
                    }),
                    Err(refusal) => Err(LinkError::Refused(refusal)),
                };
            }
            self.notify.notified().await;
        }
    }

    /// The next thing seen. A piece of output that more could join waits until `not_before`.
    /// Cancel-safe.
    pub(crate) async fn next(&mut self, not_before: Instant) -> Result<Seen, LinkError> {
        loop {
            let early = Instant::now() < not_before;
            let holds_back = |watched: &Watched| {
                early && !watched.ended && !watched.queue.is_empty() && !watched.queue.is_full()
            };
            let (mut held, mut hungry) = (false, false);
            let seen = self.poll(|watched| {
                held = holds_back(watched);
                let seen = if held { None } else { watched.take() };
                hungry = seen.is_some() && watched.wants_credit();
                seen
            })?;
            if hungry {
                self.shared.hungry(self.call);
            }
            if let Some(seen) = seen {
                return Ok(seen);
            }
            tokio::select! {
                () = self.notify.notified() => {}
                () = sleep_until(not_before), if held => {}
            }
        }
    }

    /// What is there already, else whether more can come at all.
    fn poll<T>(
        &self,
        take: impl FnOnce(&mut Watched) -> Option<T>,
    ) -> Result<Option<T>, LinkError> {
        let mut calls = self.shared.calls();
        let watched = calls.watched(self.call);
        let is_lost = watched.is_none();
        match watched.and_then(take) {
            Some(found) => Ok(Some(found)),
            None if is_lost || calls.is_over() => Err(self.shared.fault()),
            None => Ok(None),
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.drop_call(self.call);
    }
}
