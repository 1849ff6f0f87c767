//! One who watches an execution: a place in each channel, and credit. No queue of its own.

use sandgate_runner_proto::{
    OUTPUT_BYTES,
    v1::{Channel, Gap, Observe, Output, Refused, SnapshotEnd, from_runner::Body},
};

use super::{Execution, Phase, totals};
use crate::{answer::out_of_range, spool::Piece};

/// What an observation waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Its turn.
    Ready,
    /// More output, or the end.
    Waiting,
    /// Credit.
    Parked,
}

/// What an observation can do next.
#[derive(Debug, PartialEq)]
pub(crate) enum Step {
    /// Send this, and perhaps more.
    Send(Body),
    /// Send this, the last of it.
    Last(Body),
    /// Wait for more output or the end.
    Wait,
    /// Wait for credit.
    Park,
}

/// One who watches.
#[derive(Debug)]
pub(crate) struct Observation {
    /// The execution.
    pub(crate) number: u64,
    /// What it waits for.
    pub(crate) pace: Pace,
    /// Its going away cancels the execution.
    pub(crate) cancels: bool,
    next: [u64; 2],
    /// Where a snapshot ends; none: it follows.
    until: Option<[u64; 2]>,
    /// Bytes of output that may be sent.
    credit: u64,
    /// The channel whose turn it is.
    turn: u8,
}

/// The channels that an execution has.
pub(crate) fn channels(terminal: bool) -> &'static [Channel] {
    if terminal {
        &[Channel::Terminal]
    } else {
        &[Channel::Stdout, Channel::Stderr]
    }
}

impl Observation {
    /// Begins where it is asked to; `execution` none: it is about to be started, on a terminal or not.
    pub(crate) fn new(
        wanted: &Observe,
        execution: Option<&Execution>,
        terminal: bool,
    ) -> Result<Self, Refused> {
        let mut next = [0; 2];
        let mut ends = [0; 2];
        for (at, channel) in channels(terminal).iter().enumerate() {
            let total = execution.map_or(0, |execution| execution.lanes[at].spool.total());
            let offset = match channel {
                Channel::Stdout => wanted.stdout_offset,
                Channel::Stderr => wanted.stderr_offset,
                _ => wanted.terminal_offset,
            };
            if offset.is_some_and(|offset| offset > total) {
                return Err(out_of_range(total, *channel));
            }
            let tail = wanted.tail_bytes.map(|bytes| total.saturating_sub(bytes));
            next[at] = offset.or(tail).unwrap_or(0);
            ends[at] = total;
        }
        let ended = execution.is_some_and(|execution| execution.phase == Phase::Ended);
        Ok(Self {
            number: execution.map_or(0, |execution| execution.number),
            pace: Pace::Ready,
            cancels: false,
            next,
            until: (!wanted.follow && !ended).then_some(ends),
            credit: wanted.credit,
            turn: 0,
        })
    }

    /// Lets it send more. True: it waited for that.
    pub(crate) fn give(&mut self, bytes: u64) -> bool {
        self.credit = self.credit.saturating_add(bytes);
        self.credit > 0 && self.pace == Pace::Parked
    }

    /// Sends a piece, its channels in turns.
    pub(crate) fn step(&mut self, execution: &Execution) -> Step {
        let lanes = execution.lanes.len();
        let mut blocked = false;
        for _ in 0..lanes {
            let at = usize::from(self.turn) % lanes;
            self.turn = self.turn.wrapping_add(1);
            let lane = &execution.lanes[at];
            let until = self.until.map_or(lane.spool.total(), |until| until[at]);
            let offset = self.next[at];
            match lane
                .spool
                .read(offset, until, self.credit.min(OUTPUT_BYTES as u64))
            {
                Piece::Bytes(data) => {
                    self.next[at] += data.len() as u64;
                    self.credit -= data.len() as u64;
                    let channel = lane.channel.into();
                    return Step::Send(Body::Output(Output {
                        channel,
                        offset,
                        data,
                    }));
                }
                Piece::Gap(end, reason) => {
                    self.next[at] = end;
                    return Step::Send(Body::Gap(Gap {
                        channel: lane.channel.into(),
                        start_offset: offset,
                        end_offset: end,
                        reason: reason.name().to_owned(),
                    }));
                }
                Piece::Nothing => blocked |= offset < until,
            }
        }
        if blocked {
            Step::Park
        } else {
            self.caught_up(execution)
        }
    }

    fn caught_up(&self, execution: &Execution) -> Step {
        if let Some(until) = self.until {
            let lanes = execution.lanes.iter().zip(until);
            let totals = Some(totals(lanes.map(|(lane, total)| (lane.channel, total))));
            return Step::Last(Body::SnapshotEnd(SnapshotEnd { totals }));
        }
        match execution.ended() {
            Some(ended) => Step::Last(Body::Ended(ended)),
            None => Step::Wait,
        }
    }
}
