//! The stream of one who follows a process.

use std::time::Duration;

use connectrpc::{ConnectError, RequestContext};
use futures::{Stream, stream};
use sandgate_e2b_envd::process::{
    ProcessEvent,
    process_event::{Event, KeepAlive, StartEvent},
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use super::outlet::Happened;

/// Seconds of silence after which the stream says that it lives.
const BEAT: u64 = 90;

/// What a stream is made of.
#[derive(Debug)]
pub(super) struct Follow {
    /// Told first.
    start: Option<u32>,
    events: mpsc::Receiver<Happened>,
    beat: Duration,
    deadline: Option<Instant>,
    over: bool,
}

/// How often a call wants to hear that its stream lives.
pub(super) fn beat(context: &RequestContext) -> Duration {
    let header = context.header("keepalive-ping-interval");
    let seconds = header.and_then(|value| value.to_str().ok()?.parse().ok());
    Duration::from_secs(seconds.unwrap_or(BEAT).max(1))
}

fn event(event: Event) -> ProcessEvent {
    ProcessEvent {
        event: Some(event),
        ..ProcessEvent::default()
    }
}

impl Follow {
    pub(super) fn new(
        pid: u32,
        events: mpsc::Receiver<Happened>,
        beat: Duration,
        deadline: Option<std::time::Instant>,
    ) -> Self {
        Self {
            start: Some(pid),
            events,
            beat,
            deadline: deadline.map(Instant::from_std),
            over: false,
        }
    }

    /// The stream: start, what happens, and the end or that the time is over.
    pub(super) fn events(
        self,
    ) -> impl Stream<Item = Result<ProcessEvent, ConnectError>> + Send + 'static {
        stream::unfold(self, |mut follow| async move {
            let next = follow.next().await?;
            Some((next, follow))
        })
    }

    async fn next(&mut self) -> Option<Result<ProcessEvent, ConnectError>> {
        if self.over {
            return None;
        }
        if let Some(pid) = self.start.take() {
            let start = StartEvent {
                pid,
                ..StartEvent::default()
            };
            return Some(Ok(event(start.into())));
        }
        let silence = Instant::now() + self.beat;
        let late = self.deadline.unwrap_or(silence + self.beat);
        tokio::select! {
            biased;
            happened = self.events.recv() => match happened? {
                Happened::Data(data) => Some(Ok(event(data.into()))),
                Happened::End(end) => {
                    self.over = true;
                    Some(Ok(event(end.into())))
                }
            },
            () = sleep_until(late) => {
                self.over = true;
                Some(Err(ConnectError::deadline_exceeded("context deadline exceeded")))
            }
            () = sleep_until(silence) => Some(Ok(event(KeepAlive::default().into()))),
        }
    }
}
