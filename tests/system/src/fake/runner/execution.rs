//! One execution: plays its script, keeps what it wrote, takes input and signals.

use std::{
    future::pending,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use sandgate_runner_proto::v1::{
    self, Cancelled, Ended, Signaled, Start, StartFailed, TimedOut, ended::Outcome,
};
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    Counters,
    script::{Step, parse},
    state::State,
};

/// Outputs of a script between two looks at the rest of the world.
const AT_ONCE: u64 = 1024;

/// An execution; observers watch its state.
pub(super) struct Execution {
    pub(super) start: Start,
    pub(super) number: u64,
    pub(super) state: watch::Sender<State>,
    start_time_ns: i64,
    begun: Instant,
}

impl Execution {
    pub(super) fn new(start: Start, number: u64) -> Self {
        let state = State {
            terminal: start.terminal,
            input: start.stdin.to_vec(),
            input_open: start.stdin_open,
            ..State::default()
        };
        Self {
            start,
            number,
            state: watch::Sender::new(state),
            start_time_ns: now(),
            begun: Instant::now(),
        }
    }

    pub(super) fn started(&self, attached: bool) -> v1::Started {
        v1::Started {
            execution_id: self.start.execution_id.clone(),
            start_time_ns: self.start_time_ns,
            attached,
        }
    }

    pub(super) fn seen(&self) -> v1::Execution {
        let state = self.state.borrow();
        v1::Execution {
            execution_id: self.start.execution_id.clone(),
            number: self.number,
            facts: self.start.facts.clone(),
            start_time_ns: self.start_time_ns,
            totals: Some(state.totals()),
            ended: state.ended.clone(),
            stdin_open: state.input_open && state.ended.is_none(),
            stdin_accepted: state.input.len() as u64,
            terminal: state.terminal,
            user: self.start.user.clone(),
            cwd: self.start.cwd.clone(),
        }
    }

    /// Takes input; answers how far it has come, or why not.
    pub(super) fn write(&self, asked: &v1::WriteStdin) -> Result<u64, (&'static str, u64)> {
        let mut answer = Err(("STDIN_CLOSED", 0));
        self.state.send_modify(|state| {
            let accepted = state.input.len() as u64;
            let Some(known) = accepted.checked_sub(asked.offset) else {
                answer = Err(("OFFSET_OUT_OF_RANGE", accepted));
                return;
            };
            let new = asked.data.get(known as usize..).unwrap_or_default();
            let open = state.input_open && state.ended.is_none();
            if !open && !new.is_empty() {
                return;
            }
            state.input.extend_from_slice(new);
            state.input_open &= !asked.eof;
            answer = Ok(state.input.len() as u64);
        });
        answer
    }

    /// A signal ends it, whichever; false if it was over.
    pub(super) fn signal(&self, signal: i32, id: &str) -> bool {
        let is_new = |state: &mut State| id.is_empty() || state.signal_ids.insert(id.to_owned());
        let outcome = Outcome::Signaled(Signaled {
            signal,
            oom_killed: false,
        });
        self.last_word(outcome, is_new)
    }

    /// Ends it for this reason; false if it was over.
    pub(super) fn cancel(&self, by: &str) -> bool {
        let by = by.to_owned();
        self.last_word(Outcome::Cancelled(Cancelled { by }), |_| true)
    }

    fn last_word(&self, outcome: Outcome, counts: impl FnOnce(&mut State) -> bool) -> bool {
        let mut alive = false;
        self.state.send_modify(|state| {
            alive = state.ended.is_none();
            if alive && counts(state) {
                state.last_word.get_or_insert(outcome);
            }
        });
        alive
    }

    pub(super) fn is_over(&self) -> bool {
        self.state.borrow().ended.is_some()
    }

    /// Waits for its end.
    pub(super) async fn over(&self) {
        let mut state = self.state.subscribe();
        // The sender is ours, so the wait ends with an end only.
        let _ = state.wait_for(|state| state.ended.is_some()).await;
    }

    /// Plays the script to its end, or until the sandbox has gone.
    pub(super) async fn play(self: Arc<Self>, counters: Arc<Counters>, gone: CancellationToken) {
        let live = Live(counters.clone());
        live.0.live.fetch_add(1, Ordering::SeqCst);
        let line = self.start.argv.last().cloned().unwrap_or_default();
        let script = parse(&String::from_utf8_lossy(&line));
        let outcome = match script {
            None => Outcome::StartFailed(StartFailed {
                reason: "PROGRAM_NOT_FOUND".to_owned(),
                message: "no step of a script".to_owned(),
            }),
            Some(steps) => tokio::select! {
                biased;
                () = gone.cancelled() => return,
                word = self.told() => {
                    counters.kills.fetch_add(1, Ordering::SeqCst);
                    word
                }
                () = until(self.start.timeout_ms) => Outcome::TimedOut(TimedOut {}),
                code = self.steps(steps, &counters) => Outcome::ExitCode(code),
            },
        };
        drop(live);
        self.end(outcome, counters.ended.fetch_add(1, Ordering::SeqCst) + 1);
    }

    async fn told(&self) -> Outcome {
        let mut state = self.state.subscribe();
        loop {
            if let Some(word) = state.borrow_and_update().last_word.clone() {
                return word;
            }
            if state.changed().await.is_err() {
                pending::<()>().await;
            }
        }
    }

    async fn steps(&self, steps: Vec<Step>, counters: &Counters) -> i32 {
        let write = |unit: &Bytes, times: u64| {
            counters.outputs.fetch_add(times, Ordering::SeqCst);
            self.state
                .send_modify(|state| state.output().write(unit, times));
        };
        for step in steps {
            match step {
                Step::Print(text) => write(&text, 1),
                Step::Complain(text) => {
                    self.state
                        .send_modify(|state| state.errors().write(&text, 1));
                }
                Step::Repeat { unit, mut count } => {
                    while count > 0 {
                        let now = count.min(AT_ONCE);
                        write(&unit, now);
                        count -= now;
                        tokio::task::yield_now().await;
                    }
                }
                Step::Lines(count) => {
                    self.state.send_modify(|state| state.output().number(count));
                }
                Step::Cat => self.cat().await,
                Step::Sleep(time) => sleep(time).await,
                Step::Hang => pending().await,
                Step::Exit(code) => return code,
            }
        }
        0
    }

    async fn cat(&self) {
        let (mut state, mut read) = (self.state.subscribe(), 0);
        loop {
            let (new, open) = {
                let state = state.borrow_and_update();
                (
                    Bytes::copy_from_slice(&state.input[read..]),
                    state.input_open,
                )
            };
            if !new.is_empty() {
                read += new.len();
                self.state
                    .send_modify(|state| state.output().write(&new, 1));
            } else if !open || state.changed().await.is_err() {
                return;
            }
        }
    }

    fn end(&self, outcome: Outcome, ended_number: u64) {
        self.state.send_modify(|state| {
            state.ended = Some(Ended {
                outcome: Some(outcome),
                totals: Some(state.totals()),
                truncated: Vec::new(),
                end_time_ns: now(),
                duration_ns: self.begun.elapsed().as_nanos() as u64,
                ended_number,
            });
        });
    }
}

/// Counts a command that runs.
struct Live(Arc<Counters>);

impl Drop for Live {
    fn drop(&mut self) {
        self.0.live.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn until(timeout_ms: u64) {
    match timeout_ms {
        0 => pending().await,
        time => sleep(Duration::from_millis(time)).await,
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_nanos() as i64
}
