//! The stream of one execution, with a process made of a script.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use sandgate_proto::v1::{OutputChannel, execution_ended::Outcome as Ended};
use tokio::sync::mpsc::{Receiver, channel};

use super::*;

/// Gives its events one by one, then hangs until it is killed.
struct Scripted {
    events: VecDeque<Event>,
    kills: Arc<Mutex<Vec<bool>>>,
    /// How many kills it takes to end it.
    stubborn: usize,
    polls: Arc<AtomicUsize>,
}

impl Process for Scripted {
    async fn next(&mut self) -> Event {
        self.polls.fetch_add(1, Ordering::Relaxed);
        if let Some(event) = self.events.pop_front() {
            return event;
        }
        if self.kills.lock().unwrap().len() > self.stubborn {
            return Event::Ended(Outcome::Signaled {
                signal: 15,
                oom_killed: false,
            });
        }
        pending().await
    }

    async fn kill(&mut self, force: bool) {
        self.kills.lock().unwrap().push(force);
    }
}

struct Fixture {
    events: Receiver<ExecResponse>,
    kills: Arc<Mutex<Vec<bool>>>,
    polls: Arc<AtomicUsize>,
    shutdown: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

fn start(events: Vec<Event>, stubborn: usize, timeout: Option<Duration>, cancel: bool) -> Fixture {
    let (sender, receiver) = channel(4);
    let kills = Arc::new(Mutex::new(Vec::new()));
    let polls = Arc::new(AtomicUsize::new(0));
    let shutdown = CancellationToken::new();
    let process = Scripted {
        events: events.into(),
        kills: kills.clone(),
        stubborn,
        polls: polls.clone(),
    };
    let terms = Terms {
        execution_id: "e1".into(),
        timeout,
        cancel_on_disconnect: cancel,
    };
    let execution = Execution::new(process, terms, "s1".into(), sender, shutdown.clone());
    Fixture {
        events: receiver,
        kills,
        polls,
        shutdown,
        task: tokio::spawn(execution.run()),
    }
}

async fn all(fixture: &mut Fixture) -> Vec<Message> {
    let mut messages = Vec::new();
    while let Some(response) = fixture.events.recv().await {
        messages.extend(response.event);
    }
    messages
}

fn stdout(text: &'static str) -> Event {
    Event::Output(OutputChannel::Stdout, Bytes::from_static(text.as_bytes()))
}

#[tokio::test(start_paused = true)]
async fn started_comes_first_and_ended_last_with_the_totals() {
    let mut fixture = start(
        vec![
            stdout("hello "),
            stdout("world"),
            Event::Output(OutputChannel::Stderr, Bytes::from_static(b"oops")),
            Event::Ended(Outcome::Exited(3)),
        ],
        0,
        None,
        false,
    );
    let messages = all(&mut fixture).await;
    assert!(matches!(&messages[0], Message::Started(started) if started.execution_id == "e1"));
    let Some(Message::Ended(ended)) = messages.last() else {
        panic!("{messages:?}")
    };
    assert_eq!(ended.outcome, Some(Ended::ExitCode(3)));
    assert_eq!(ended.stdout.unwrap().bytes, 11);
    assert_eq!(ended.stderr.unwrap().bytes, 4);
    let text: Vec<u8> = messages
        .iter()
        .filter_map(|message| match message {
            Message::Output(chunk) => Some(chunk.data.to_vec()),
            _ => None,
        })
        .flatten()
        .collect();
    assert_eq!(text, b"hello worldoops");
}

#[tokio::test(start_paused = true)]
async fn a_timeout_asks_then_kills_and_is_said_as_a_timeout() {
    let mut fixture = start(vec![stdout("x")], 1, Some(Duration::from_secs(2)), false);
    let begun = Instant::now();
    let messages = all(&mut fixture).await;
    let Some(Message::Ended(ended)) = messages.last() else {
        panic!("{messages:?}")
    };
    assert!(matches!(ended.outcome, Some(Ended::TimedOut(_))));
    assert_eq!(*fixture.kills.lock().unwrap(), [false, true]);
    assert_eq!(begun.elapsed(), Duration::from_secs(2) + GRACE);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_does_not_read_does_not_hold_up_the_timeout() {
    let events =
        (0..100).map(|_| Event::Output(OutputChannel::Stdout, Bytes::from(vec![0; 65_536])));
    let fixture = start(events.collect(), 0, Some(Duration::from_secs(1)), false);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(*fixture.kills.lock().unwrap(), [false]);
    assert!(
        fixture.polls.load(Ordering::Relaxed) < 10,
        "read ahead of the observer"
    );
}

#[tokio::test(start_paused = true)]
async fn losing_the_observer_ends_the_process_only_if_asked() {
    for cancel in [false, true] {
        let mut fixture = start(vec![stdout("x")], 0, None, cancel);
        fixture.events.recv().await.unwrap();
        fixture.events.close();
        drop(fixture.events);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(fixture.kills.lock().unwrap().len(), usize::from(cancel));
        assert_eq!(fixture.task.is_finished(), cancel);
        fixture.shutdown.cancel();
    }
}

#[tokio::test(start_paused = true)]
async fn silence_is_filled_with_keep_alives() {
    let mut fixture = start(Vec::new(), 0, Some(Duration::from_secs(40)), false);
    let messages = all(&mut fixture).await;
    let alive = messages
        .iter()
        .filter(|message| matches!(message, Message::KeepAlive(_)))
        .count();
    assert_eq!(alive, 2);
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_ends_says_no_outcome() {
    let mut fixture = start(vec![stdout("x")], 9, None, false);
    fixture.events.recv().await.unwrap();
    fixture.shutdown.cancel();
    let messages = all(&mut fixture).await;
    assert!(
        !messages
            .iter()
            .any(|message| matches!(message, Message::Ended(_)))
    );
    assert_eq!(*fixture.kills.lock().unwrap(), [true]);
}
