//! Runs one process for one stream: offsets, frames of a good size, keep-alives, the deadline, and
//! exactly one `ended`, last.

mod ended;
mod frames;
mod stream;

use std::{
    collections::VecDeque,
    future::pending,
    time::{Duration, SystemTime},
};

use sandgate_proto::v1::{
    ExecResponse, ExecutionStarted, KeepAlive, exec_response::Event as Message,
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

pub(crate) use self::stream::stream;
use self::{ended::ended, frames::Frames};
use crate::{Event, Outcome, Process, command::Terms};

/// Silence after which an observer is told that the stream lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long a process has between TERM and KILL.
const GRACE: Duration = Duration::from_secs(5);

/// One execution while it runs.
pub(crate) struct Execution<P> {
    process: P,
    terms: Terms,
    sandbox_id: String,
    observer: mpsc::Sender<ExecResponse>,
    attached: bool,
    shutdown: CancellationToken,
    frames: Frames,
    outbox: VecDeque<Message>,
    started: Instant,
    deadline: Option<Instant>,
    keep_alive: Instant,
    cause: Option<Cause>,
}

/// What there is to do next.
enum Step {
    Shutdown,
    Deadline,
    ObserverGone,
    ObserverReady,
    Process(Event),
    FrameDue,
    Silence,
}

/// Why the kit, not the process itself, brought about the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Timeout,
    Disconnect,
}

impl<P: Process> Execution<P> {
    /// An execution that reports to `observer`, and is killed when `shutdown` says so.
    pub(crate) fn new(
        process: P,
        terms: Terms,
        sandbox_id: String,
        observer: mpsc::Sender<ExecResponse>,
        shutdown: CancellationToken,
    ) -> Self {
        let started = Instant::now();
        Self {
            deadline: terms.timeout.map(|timeout| started + timeout),
            keep_alive: started + KEEP_ALIVE,
            process,
            terms,
            sandbox_id,
            observer,
            attached: true,
            shutdown,
            frames: Frames::default(),
            outbox: VecDeque::new(),
            started,
            cause: None,
        }
    }

    /// Runs to the end. A process whose observer went away runs on unread, unless its terms say
    /// otherwise. Where the provider ends first the stream just stops: nobody saw an outcome.
    pub(crate) async fn run(mut self) {
        self.outbox.push_back(Message::Started(ExecutionStarted {
            execution_id: self.terms.execution_id.clone(),
            sandbox_id: self.sandbox_id.clone(),
            start_time: Some(SystemTime::now().into()),
            attached: false,
        }));
        let Some(outcome) = self.observe().await else {
            return;
        };
        self.outbox.extend(self.frames.take().map(Message::Output));
        let ended = ended(
            outcome,
            self.cause,
            self.frames.totals(),
            self.started.elapsed(),
        );
        self.outbox.push_back(Message::Ended(ended));
        while let Some(message) = self.outbox.pop_front() {
            tokio::select! {
                sent = self.observer.send(response(message)) => if sent.is_err() { return },
                () = self.shutdown.cancelled() => return,
            }
        }
    }

    /// Reads the process until it ends. Nothing more is read while the observer is behind.
    async fn observe(&mut self) -> Option<Outcome> {
        loop {
            match self.step().await {
                Step::Shutdown => {
                    self.process.kill(true).await;
                    return None;
                }
                Step::Deadline => self.end(Cause::Timeout).await,
                Step::ObserverGone => self.detach().await,
                Step::ObserverReady => {
                    if let Some(message) = self.outbox.pop_front() {
                        let _ = self.observer.try_send(response(message));
                    }
                    self.keep_alive = Instant::now() + KEEP_ALIVE;
                }
                Step::Process(Event::Ended(outcome)) => return Some(outcome),
                Step::Process(Event::Output(channel, data)) => {
                    let full = self.frames.add(channel, data);
                    self.post(full.map(Message::Output));
                }
                Step::FrameDue => {
                    let frame = self.frames.take();
                    self.post(frame.map(Message::Output));
                }
                Step::Silence => {
                    let quiet = self.outbox.is_empty();
                    self.post(quiet.then_some(Message::KeepAlive(KeepAlive {})));
                    self.keep_alive = Instant::now() + KEEP_ALIVE;
                }
            }
        }
    }

    /// Waits for the next thing to do. In this order: the process comes before the frame that is
    /// due, so that what it has ready joins that frame.
    async fn step(&mut self) -> Step {
        let waiting = !self.outbox.is_empty();
        tokio::select! {
            biased;
            () = self.shutdown.cancelled() => Step::Shutdown,
            () = at(self.deadline) => Step::Deadline,
            () = self.observer.closed(), if self.attached => Step::ObserverGone,
            // Room for one message is room for ours: this is the only sender.
            Ok(_room) = self.observer.reserve(), if waiting => Step::ObserverReady,
            event = self.process.next(), if !waiting => Step::Process(event),
            () = at(self.frames.due()), if !waiting => Step::FrameDue,
            () = sleep_until(self.keep_alive) => Step::Silence,
        }
    }

    fn post(&mut self, message: Option<Message>) {
        if self.attached {
            self.outbox.extend(message);
        }
    }

    async fn detach(&mut self) {
        self.attached = false;
        self.outbox.clear();
        if self.terms.cancel_on_disconnect {
            self.end(Cause::Disconnect).await;
        }
    }

    /// TERM the first time, KILL after the grace time.
    async fn end(&mut self, cause: Cause) {
        let force = self.cause.is_some();
        self.cause.get_or_insert(cause);
        self.process.kill(force).await;
        self.deadline = (!force).then(|| Instant::now() + GRACE);
    }
}

fn response(message: Message) -> ExecResponse {
    ExecResponse {
        event: Some(message),
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => pending().await,
    }
}

#[cfg(test)]
mod tests;
