//! A command of the scripted provider: its shell line says what it prints and how it ends.
//!
//! Steps are divided by `;`: `print TEXT`, `repeat COUNT BYTES` (so many outputs of so many bytes),
//! `hang`, `exit CODE`. A line without an end exits with 0.

use std::{
    collections::VecDeque,
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use sandgate_kit::{Event, Outcome, Process};
use sandgate_proto::v1::OutputChannel;

/// What all commands of one provider did.
#[derive(Default)]
pub(super) struct Counters {
    /// Outputs that the kit has read.
    pub(super) outputs: AtomicU64,
    /// Commands that run.
    pub(super) live: AtomicUsize,
    /// Kills that the kit asked for.
    pub(super) kills: AtomicUsize,
}

enum Step {
    Output { data: Bytes, left: u64 },
    Hang,
    End(Outcome),
}

/// A running script.
pub struct Scripted {
    steps: VecDeque<Step>,
    counters: Arc<Counters>,
}

impl Scripted {
    pub(super) fn start(line: &str, counters: Arc<Counters>) -> Self {
        counters.live.fetch_add(1, Ordering::SeqCst);
        let steps = line.split(';').map(|step| parse(step.trim())).collect();
        Self { steps, counters }
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.counters.live.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Process for Scripted {
    async fn next(&mut self) -> Event {
        loop {
            match self.steps.front_mut() {
                Some(Step::Output { left: 0, .. }) => {
                    self.steps.pop_front();
                }
                Some(Step::Output { data, left }) => {
                    if left.is_multiple_of(64) {
                        // A pipe would not always be ready either.
                        tokio::task::yield_now().await;
                    }
                    *left -= 1;
                    self.counters.outputs.fetch_add(1, Ordering::SeqCst);
                    return Event::Output(OutputChannel::Stdout, data.clone());
                }
                Some(Step::Hang) => pending().await,
                Some(Step::End(outcome)) => return Event::Ended(outcome.clone()),
                None => return Event::Ended(Outcome::Exited(0)),
            }
        }
    }

    async fn kill(&mut self, force: bool) {
        self.counters.kills.fetch_add(1, Ordering::SeqCst);
        let signal = if force { 9 } else { 15 };
        self.steps = [Step::End(Outcome::Signaled {
            signal,
            oom_killed: false,
        })]
        .into();
    }
}

fn parse(step: &str) -> Step {
    let words: Vec<&str> = step.split_whitespace().collect();
    match words.as_slice() {
        ["print", ..] => {
            let text = step.trim_start_matches("print ").to_owned();
            Step::Output {
                data: text.into(),
                left: 1,
            }
        }
        ["repeat", count, size] => Step::Output {
            data: vec![b'x'; size.parse().unwrap()].into(),
            left: count.parse().unwrap(),
        },
        ["hang"] => Step::Hang,
        ["exit", code] => Step::End(Outcome::Exited(code.parse().unwrap())),
        _ => panic!("no step of a script: {step:?}"),
    }
}
