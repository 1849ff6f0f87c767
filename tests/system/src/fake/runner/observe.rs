//! One observation: sends what an execution wrote, as far as there is credit.

use std::sync::{Arc, atomic::Ordering};

use sandgate_runner_proto::v1::{Observe, Output, SnapshotEnd, from_runner::Body};
use tokio::sync::watch;

use super::{
    Counters,
    execution::Execution,
    link::{Line, refused},
    state::State,
};

/// What to do next.
enum Next {
    Send(Body, u64),
    Last(Body),
    MoreOutput,
    MoreCredit,
}

/// An observation.
pub(super) struct Observation {
    execution: Arc<Execution>,
    counters: Arc<Counters>,
    at: [u64; 3],
    /// Of a snapshot: where it ends, and what is said then.
    until: Option<([u64; 3], Body)>,
    used: u64,
}

/// Cancels the execution where its observation goes away before the end.
pub(super) struct OnDisconnect(pub(super) Option<Arc<Execution>>);

impl Drop for OnDisconnect {
    fn drop(&mut self) {
        if let Some(execution) = &self.0 {
            execution.cancel("DISCONNECT");
        }
    }
}

impl Observation {
    /// Begins at the offsets that were asked for, if there is output up to them.
    pub(super) fn new(
        execution: Arc<Execution>,
        counters: Arc<Counters>,
        asked: &Observe,
    ) -> Result<Self, Box<Body>> {
        let state = execution.state.borrow();
        let offsets = [
            asked.stdout_offset,
            asked.stderr_offset,
            asked.terminal_offset,
        ];
        let mut at = [0; 3];
        for place in 0..3 {
            let total = state.channels[place].total();
            let tail = asked
                .tail_bytes
                .map_or(0, |tail| total.saturating_sub(tail));
            at[place] = offsets[place].unwrap_or(tail);
            if at[place] > total {
                let channel = place as i32 + 1;
                return Err(Box::new(refused("OFFSET_OUT_OF_RANGE", total, channel)));
            }
        }
        let until = (!asked.follow).then(|| {
            let totals = Some(state.totals());
            let last = match state.ended.clone() {
                Some(ended) => Body::Ended(ended),
                None => Body::SnapshotEnd(SnapshotEnd { totals }),
            };
            let ends = [0, 1, 2].map(|place| state.channels[place].total());
            (ends, last)
        });
        drop(state);
        Ok(Self {
            execution,
            counters,
            at,
            until,
            used: 0,
        })
    }

    /// Sends everything, and what comes last.
    pub(super) async fn run(mut self, line: Line, mut credit: watch::Receiver<u64>) {
        let execution = self.execution.clone();
        let mut state = execution.state.subscribe();
        loop {
            let given = *credit.borrow_and_update();
            let next = self.next(&state.borrow_and_update(), given);
            let gone = match next {
                Next::Send(body, bytes) => {
                    self.counters.sent.fetch_add(bytes, Ordering::SeqCst);
                    !line.send(body).await
                }
                Next::Last(body) => {
                    line.send(body).await;
                    true
                }
                Next::MoreOutput => state.changed().await.is_err(),
                Next::MoreCredit => credit.changed().await.is_err(),
            };
            if gone {
                return;
            }
        }
    }

    fn next(&mut self, state: &State, given: u64) -> Next {
        for place in state.places().iter().copied() {
            let total = state.channels[place].total();
            let end = self.until.as_ref().map_or(total, |(ends, _)| ends[place]);
            let offset = self.at[place];
            if offset >= end {
                continue;
            }
            let data = state.channels[place].read(offset, given - self.used, end);
            if data.is_empty() {
                return Next::MoreCredit;
            }
            let size = data.len() as u64;
            self.used += size;
            self.at[place] += size;
            let output = Output {
                channel: place as i32 + 1,
                offset,
                data,
            };
            return Next::Send(Body::Output(output), size);
        }
        match (&self.until, &state.ended) {
            (Some((_, last)), _) => Next::Last(last.clone()),
            (None, Some(ended)) => Next::Last(Body::Ended(ended.clone())),
            (None, None) => Next::MoreOutput,
        }
    }
}
