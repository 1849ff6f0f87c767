//! A command that was started: its output, its input, its end.

use std::{future::pending, pin::Pin, sync::Arc};

use bollard::{container::LogOutput, errors::Error};
use bytes::{Buf as _, Bytes};
use futures::{Stream, StreamExt as _, future::BoxFuture};
use sandgate_kit::{Event, Outcome, Process};
use sandgate_proto::v1::OutputChannel;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use super::{failure, origin::Origin};

/// Largest chunk of output that the contract knows, bytes.
const CHUNK: usize = 64 * 1024;

type Output = Pin<Box<dyn Stream<Item = Result<LogOutput, Error>> + Send>>;
type Input = Pin<Box<dyn AsyncWrite + Send>>;

/// A command in a container. What was read and what is being asked is held here, never in a
/// future of [`Process::next`], so that a dropped wait loses nothing and begins nothing anew.
pub struct Running {
    origin: Arc<Origin>,
    stage: Stage,
    output: Option<Output>,
    input: Option<(Input, Bytes)>,
    /// Read, but not yet given away.
    held: Option<(OutputChannel, Bytes)>,
}

/// How far it has come.
enum Stage {
    /// No output yet.
    Silent,
    /// There is output, and the engine is asked whose: it writes why a command could not be
    /// started in the place of output.
    Unsure(BoxFuture<'static, bool>),
    /// Output is the command's own.
    Speaking,
    /// There is no more output, and the engine is asked how it ended.
    Ending(BoxFuture<'static, Outcome>),
    Over,
}

impl Running {
    pub(super) fn new(origin: Origin, output: Output, input: Option<(Input, Bytes)>) -> Self {
        Self {
            origin: Arc::new(origin),
            stage: Stage::Silent,
            output: Some(output),
            input,
            held: None,
        }
    }

    /// Reads output, and writes input meanwhile: a process may do neither before the other.
    async fn pull(&mut self) {
        let Some(output) = &mut self.output else {
            return;
        };
        let read = tokio::select! {
            biased;
            read = output.next() => read,
            done = feed(&mut self.input) => {
                if done {
                    self.input = None;
                }
                return;
            }
        };
        match read {
            Some(Ok(LogOutput::StdErr { message })) => self.hold(OutputChannel::Stderr, message),
            Some(Ok(other)) => self.hold(OutputChannel::Stdout, other.into_bytes()),
            None => self.output = None,
            Some(Err(error)) => {
                // The engine sends output once. The command may run on; its end is still seen.
                let exec_id = self.origin.exec_id.as_str();
                tracing::warn!(%error, exec_id, "the rest of a command's output is lost");
                self.output = None;
            }
        }
    }

    fn hold(&mut self, channel: OutputChannel, data: Bytes) {
        if !data.is_empty() {
            self.held = Some((channel, data));
        }
    }

    fn give(&mut self) -> Option<Event> {
        let (channel, data) = self.held.as_mut()?;
        let (channel, chunk) = (*channel, data.split_to(data.len().min(CHUNK)));
        if data.is_empty() {
            self.held = None;
        }
        Some(Event::Output(channel, chunk))
    }

    fn ending(&self) -> Stage {
        Stage::Ending(Box::pin(self.origin.clone().ended()))
    }
}

impl Process for Running {
    async fn next(&mut self) -> Event {
        loop {
            match &mut self.stage {
                Stage::Silent => {
                    self.pull().await;
                    if self.held.is_some() {
                        self.stage = Stage::Unsure(Box::pin(self.origin.clone().started()));
                    } else if self.output.is_none() {
                        self.stage = self.ending();
                    }
                }
                Stage::Unsure(started) => {
                    if started.await {
                        self.stage = Stage::Speaking;
                    } else {
                        self.stage = Stage::Over;
                        let (_, text) = self.held.take().unwrap_or_default();
                        return Event::Ended(failure::never_ran(&text));
                    }
                }
                Stage::Speaking => {
                    if let Some(event) = self.give() {
                        return event;
                    }
                    self.pull().await;
                    if self.held.is_none() && self.output.is_none() {
                        self.stage = self.ending();
                    }
                }
                Stage::Ending(ended) => {
                    let outcome = ended.await;
                    self.stage = Stage::Over;
                    return Event::Ended(outcome);
                }
                Stage::Over => pending().await,
            }
        }
    }

    async fn kill(&mut self, force: bool) {
        self.origin.kill(force).await;
    }
}

/// Writes some input; true once there is nothing more to do. Waits forever without input.
async fn feed(input: &mut Option<(Input, Bytes)>) -> bool {
    let Some((writer, data)) = input else {
        return pending().await;
    };
    if data.is_empty() {
        // Closes it. A process that has gone meanwhile needs no more of it.
        let _ = writer.shutdown().await;
        return true;
    }
    match writer.write(data).await {
        Ok(0) | Err(_) => true,
        Ok(written) => {
            data.advance(written);
            false
        }
    }
}
