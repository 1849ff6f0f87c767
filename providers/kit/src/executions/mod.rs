//! Executions in sandboxes, as the services see them. Behind it is the runner of each sandbox; a
//! link to it that is lost is made anew, and callers notice nothing but time.

mod answer;
mod call;
mod close;
mod failure;
mod follow;
mod patience;
mod tails;
mod wait;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use sandgate_runner_proto::{
    GIT_VERSION, OWN_PROGRAM,
    v1::{Execution, List, Listed, Signal, Start, TerminalSize},
};
use tokio::time::timeout;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(crate) use self::{
    answer::{Message, execution},
    close::{Close, not_negative},
    follow::Follow,
    tails::Activity,
};
use self::{
    call::{Boot, Terms},
    close::Closed,
    failure::Stop,
    patience::Patience,
};
use crate::{
    CallContext, Provider, ProviderError,
    runner::{Link, LinkError, Links, Refusal},
};

/// How long the start of a command may take: less than gateways wait for an answer.
const START: Duration = Duration::from_secs(25);
/// How long a provider may take to look at a sandbox.
const FATE: Duration = Duration::from_secs(10);

/// The executions of all sandboxes of a provider.
pub(crate) struct Executions<P> {
    provider: Arc<P>,
    links: Links<P>,
    closed: Closed,
}

/// Where to begin a stream.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct From {
    /// First byte wanted of stdout, stderr and terminal.
    pub(crate) offsets: [Option<u64>; 3],
    /// For the others: so many bytes before the present end; none: byte 0.
    pub(crate) tail: Option<u64>,
    /// Go on until the end.
    pub(crate) follow: bool,
}

impl<P: Provider> Executions<P> {
    /// `tasks` owns what is spawned, `shutdown` ends it.
    pub(crate) fn new(provider: Arc<P>, tasks: TaskTracker, shutdown: CancellationToken) -> Self {
        let links = Links::new(provider.clone(), tasks, shutdown);
        let closed = Closed::default();
        Self {
            provider,
            links,
            closed,
        }
    }

    /// The sandbox was stopped or is gone.
    pub(crate) fn ended(&self, sandbox_id: &str) {
        self.closed.remove(sandbox_id);
        self.links.forget(sandbox_id);
    }

    /// The sandbox was paused: nothing comes on its links any more.
    pub(crate) fn paused(&self, sandbox_id: &str) {
        self.links.forget(sandbox_id);
    }

    /// Starts a command, or finds the one that its id started; true: found.
    pub(crate) async fn start(
        &self,
        context: &CallContext,
        start: Start,
    ) -> Result<bool, ProviderError> {
        let id = start.execution_id.clone();
        let mut patience = Patience::default();
        let work = self.call(context, Terms::start(), &mut patience, |link| {
            let start = start.clone();
            async move { link.start(start).await }
        });
        match timeout(START, work).await {
            Ok(Ok((started, _))) => Ok(started.attached),
            Ok(Err(stop)) => Err(stop.into_error(&id)),
            Err(_) => Err(failure::slow_start()),
        }
    }

    /// Starts a command, or finds it, and streams it from its first byte.
    pub(crate) async fn start_followed(
        self: &Arc<Self>,
        context: CallContext,
        start: Start,
    ) -> Result<Follow<P>, ProviderError> {
        let id = start.execution_id.clone();
        let mut patience = Patience::default();
        let work = self.call(&context, Terms::start(), &mut patience, |link| {
            let start = start.clone();
            async move {
                if !knows(&link, &start) {
                    return Err(LinkError::Refused(older()));
                }
                link.start_watched(start).await
            }
        });
        let (begun, boot) = match timeout(START, work).await {
            Ok(Ok(begun)) => begun,
            Ok(Err(stop)) => return Err(stop.into_error(&id)),
            Err(_) => return Err(failure::slow_start()),
        };
        Ok(Follow::new(
            self.clone(),
            context,
            id,
            boot,
            begun,
            [0; 3],
            true,
        ))
    }

    /// Streams an execution.
    pub(crate) async fn observe(
        self: &Arc<Self>,
        context: CallContext,
        id: &str,
        from: From,
    ) -> Result<Follow<P>, ProviderError> {
        let offsets = match from {
            From { tail: None, .. } => from.offsets.map(Option::unwrap_or_default),
            From {
                tail: Some(tail), ..
            } => {
                // Whoever comes back to a tail goes on at its offsets, so they are fixed now.
                let (seen, _) = self.look(&context, id).await?;
                let totals = seen.totals.unwrap_or_default();
                let ends = [totals.stdout, totals.stderr, totals.terminal];
                std::array::from_fn(|place| {
                    let tail = ends[place].unwrap_or_default().saturating_sub(tail);
                    from.offsets[place].unwrap_or(tail)
                })
            }
        };
        let mut patience = Patience::default();
        let (begun, boot) = self
            .call(&context, Terms::read(), &mut patience, |link| {
                let id = id.to_owned();
                async move { link.observe(&id, offsets, from.follow).await }
            })
            .await
            .map_err(|stop| stop.into_error(id))?;
        let id = id.to_owned();
        Ok(Follow::new(
            self.clone(),
            context,
            id,
            boot,
            begun,
            offsets,
            from.follow,
        ))
    }

    /// Looks at one execution.
    pub(crate) async fn look(
        &self,
        context: &CallContext,
        id: &str,
    ) -> Result<(Execution, Boot), ProviderError> {
        self.look_again(context, id, Duration::ZERO, Terms::read())
            .await
            .map_err(|stop| stop.into_error(id))
    }

    async fn look_again(
        &self,
        context: &CallContext,
        id: &str,
        wait: Duration,
        terms: Terms,
    ) -> Result<(Execution, Boot), Stop> {
        let mut patience = Patience::default();
        self.call(context, terms, &mut patience, |link| {
            let id = id.to_owned();
            async move { link.look(&id, wait).await }
        })
        .await
    }

    /// A page of executions, and which boot of the runner it is from.
    pub(crate) async fn list(
        &self,
        context: &CallContext,
        list: List,
    ) -> Result<(Listed, Boot), ProviderError> {
        let mut patience = Patience::default();
        self.call(context, Terms::read(), &mut patience, |link| async move {
            link.list(list).await
        })
        .await
        .map_err(|stop| stop.into_error(""))
    }

    /// Gives bytes to standard input; answers how far it has come.
    pub(crate) async fn write_stdin(
        &self,
        context: &CallContext,
        id: &str,
        offset: u64,
        data: Bytes,
        eof: bool,
    ) -> Result<u64, ProviderError> {
        let mut patience = Patience::default();
        let written = self.call(context, Terms::read(), &mut patience, |link| {
            let (id, data) = (id.to_owned(), data.clone());
            async move { link.write_stdin(&id, offset, data, eof).await }
        });
        let (accepted, _) = written.await.map_err(|stop| stop.into_stdin_error(id))?;
        Ok(accepted)
    }

    /// Sends a signal; answers whether there was a process to get it.
    pub(crate) async fn signal(
        &self,
        context: &CallContext,
        signal: Signal,
    ) -> Result<bool, ProviderError> {
        let id = signal.execution_id.clone();
        let terms = if signal.signal_id.is_empty() {
            Terms::once()
        } else {
            Terms::read()
        };
        let mut patience = Patience::default();
        let sent = self.call(context, terms, &mut patience, |link| {
            let signal = signal.clone();
            async move { link.signal(signal).await }
        });
        let (delivered, _) = sent.await.map_err(|stop| stop.into_error(&id))?;
        Ok(delivered)
    }

    /// Sets the size of a terminal.
    pub(crate) async fn resize(
        &self,
        context: &CallContext,
        id: &str,
        size: TerminalSize,
    ) -> Result<(), ProviderError> {
        let mut patience = Patience::default();
        self.call(context, Terms::read(), &mut patience, |link| {
            let id = id.to_owned();
            async move { link.resize(&id, size).await }
        })
        .await
        .map_err(|stop| stop.into_error(id))?;
        Ok(())
    }
}

/// Whether a runner has this mode, if it is its own program that is wanted.
fn knows(link: &Link, start: &Start) -> bool {
    let is_own = start.argv.first().is_some_and(|name| name == OWN_PROGRAM);
    !is_own || link.welcome().version >= GIT_VERSION
}

/// What a runner says of what it does not know, and cannot say of a mode of its program.
fn older() -> Refusal {
    Refusal {
        reason: "UNKNOWN_REQUEST".to_owned(),
        message: "this runner has no such mode".to_owned(),
        offset: 0,
        channel: 0,
    }
}
