//! A stream that is being read: every event goes through the collector, and silence has its limit.

use std::time::Duration;

use sandgate_proto::v1::{ExecResponse, StreamExecutionResponse};
use tokio::time::{Instant, timeout};
use tonic::{Status, Streaming};

use crate::{
    collect::{Collected, Collector, Event, Expect, event_of_exec},
    failure::{Failure, broken},
};

/// A stream says something at least every 15 s; a little more is granted to the network.
const SILENCE: Duration = Duration::from_secs(20);

/// Either call that streams an execution.
pub(super) enum Source {
    Exec(Streaming<ExecResponse>),
    Observe(Streaming<StreamExecutionResponse>),
}

/// A stream and what came of it so far. Dropping it ends the call.
pub(crate) struct Watch {
    source: Source,
    collector: Collector,
}

impl Watch {
    pub(super) fn new(source: Source, expect: Expect) -> Self {
        Self {
            source,
            collector: Collector::new(expect),
        }
    }

    /// What came so far.
    pub(crate) fn so_far(&self) -> &Collector {
        &self.collector
    }

    /// Takes in the next event; false: the stream is over.
    pub(crate) async fn step(&mut self) -> Result<bool, Failure> {
        let rpc = match self.source {
            Source::Exec(_) => "Exec",
            Source::Observe(_) => "StreamExecution",
        };
        let next = timeout(SILENCE, self.source.next()).await.map_err(|_| {
            broken(format!(
                "{rpc}: nothing came for {SILENCE:?}, not even a keep_alive; so far {:?} of stdout",
                self.collector.stdout.outline()
            ))
        })?;
        match next {
            Ok(Some(event)) => {
                if let Some(event) = event {
                    self.collector.push(event)?;
                }
                Ok(true)
            }
            Ok(None) => Ok(false),
            Err(status) => {
                let status = Box::new(status);
                Err(Failure::Call { rpc, status })
            }
        }
    }

    /// Reads until something holds; fails if it does not within 30 s.
    pub(crate) async fn until(
        &mut self,
        what: &str,
        holds: impl Fn(&Collector) -> bool,
    ) -> Result<(), Failure> {
        let patience = Duration::from_secs(30);
        let deadline = Instant::now() + patience;
        while !holds(&self.collector) {
            let fault = if Instant::now() > deadline {
                format!("not within {patience:?}")
            } else if self.step().await? {
                continue;
            } else {
                "the stream ended before".to_owned()
            };
            let seen = &self.collector;
            return Err(broken(format!(
                "{fault}: {what}; stdout {:?}, stderr {:?}, terminal {:?}, outcome {:?}",
                seen.stdout.text(),
                seen.stderr.text(),
                seen.terminal.text(),
                seen.outcome(),
            )));
        }
        Ok(())
    }

    /// Reads until this is in standard output.
    pub(crate) async fn until_stdout(&mut self, text: &str) -> Result<(), Failure> {
        let what = format!("{text:?} in stdout");
        self.until(&what, |seen| seen.stdout.text().contains(text))
            .await
    }

    /// Reads to the end.
    pub(crate) async fn finish(mut self) -> Result<Collected, Failure> {
        while self.step().await? {}
        self.collector.finish()
    }
}

impl Source {
    /// The next event; `Some(None)` is one that this version does not know.
    async fn next(&mut self) -> Result<Option<Option<Event>>, Status> {
        Ok(match self {
            Self::Exec(stream) => {
                let next = stream.message().await?;
                next.map(|response| response.event.map(event_of_exec))
            }
            Self::Observe(stream) => stream.message().await?.map(|response| response.event),
        })
    }
}
