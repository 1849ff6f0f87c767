//! A connection to one runner, shared by all calls about its sandbox.

use std::{
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use sandgate_runner_proto::v1::{
    Drop as DropCall, Execution, List, Listed, Look, Observe, Resize, Shutdown, Signal, Start,
    Started, TerminalSize, ToRunner, Welcome, WriteStdin, to_runner::Body,
};
use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Began, LinkError, Watch,
    calls::{Answer, Calls, Wants},
    watch::{WINDOW, Watched},
};

/// How long a runner may take to answer what it can answer at once.
const ANSWER: Duration = Duration::from_secs(20);
/// The same for a start that is watched. Longer than its caller waits: dropping the observation
/// may cancel the execution, which is the caller's to decide.
const START: Duration = Duration::from_secs(60);

/// What the tasks of a connection and its callers share.
pub(super) struct Shared {
    calls: Mutex<Calls>,
    /// The writer has to look at what is dropped and who is hungry.
    pub(super) wake: Notify,
    /// The connection ends, or has ended.
    pub(super) closed: CancellationToken,
    /// The sandbox was stopped: end when the runner has, or soon.
    pub(super) retired: CancellationToken,
    fault: OnceLock<LinkError>,
    used: Mutex<Instant>,
}

impl Shared {
    pub(super) fn new(calls: Calls, closed: CancellationToken) -> Self {
        Self {
            calls: Mutex::new(calls),
            wake: Notify::new(),
            closed,
            retired: CancellationToken::new(),
            fault: OnceLock::new(),
            used: Mutex::new(Instant::now()),
        }
    }

    pub(super) fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why the connection ended.
    pub(super) fn fault(&self) -> LinkError {
        self.fault.get().cloned().unwrap_or(LinkError::Lost)
    }

    /// Ends all calls; the first fault counts.
    pub(super) fn end(&self, fault: LinkError) {
        let _ = self.fault.set(fault);
        self.closed.cancel();
        self.calls().end();
    }

    pub(super) fn hungry(&self, call: u64) {
        self.calls().hungry.push(call);
        self.wake.notify_one();
    }

    pub(super) fn drop_call(&self, call: u64) {
        let mut calls = self.calls();
        if calls.close(call) && !calls.is_over() {
            calls.dropped.push(call);
            self.wake.notify_one();
        }
        drop(calls);
        self.touch();
    }

    /// When it was last used.
    pub(super) fn used(&self) -> Instant {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn touch(&self) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

/// A connection after its handshake.
pub(crate) struct Link {
    shared: Arc<Shared>,
    outbox: mpsc::Sender<ToRunner>,
    welcome: Welcome,
}

/// Tells the runner that nobody waits for a call any more.
struct Waiting<'a>(&'a Shared, u64);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.drop_call(self.1);
    }
}

impl Link {
    pub(super) fn new(
        shared: Arc<Shared>,
        outbox: mpsc::Sender<ToRunner>,
        welcome: Welcome,
    ) -> Self {
        Self {
            shared,
            outbox,
            welcome,
        }
    }

    /// What the runner said of itself when the connection was made.
    pub(crate) const fn welcome(&self) -> &Welcome {
        &self.welcome
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    pub(crate) fn is_open(&self) -> bool {
        !self.shared.closed.is_cancelled() && !self.shared.retired.is_cancelled()
    }

    /// Starts an execution without watching it.
    pub(crate) async fn start(&self, start: Start) -> Result<Started, LinkError> {
        let wants = Wants::Started(start.execution_id.clone());
        match self.ask(Body::Start(start), wants, ANSWER).await? {
            Answer::Started(started) => Ok(started),
            _ => Err(LinkError::Lost),
        }
    }

    /// Starts an execution and follows it from its first byte.
    pub(crate) async fn start_watched(
        &self,
        mut start: Start,
    ) -> Result<(Began, Watch), LinkError> {
        start.observe = Some(Observe {
            follow: true,
            credit: WINDOW,
            ..Observe::default()
        });
        let id = start.execution_id.clone();
        let watch = self.watch(Body::Start(start), id, true, [0; 3], START);
        watch.await
    }

    /// Watches an execution from these offsets.
    pub(crate) async fn observe(
        &self,
        execution_id: &str,
        offsets: [u64; 3],
        follow: bool,
    ) -> Result<(Began, Watch), LinkError> {
        let [stdout, stderr, terminal] = offsets.map(|offset| (offset > 0).then_some(offset));
        let observe = Observe {
            execution_id: execution_id.to_owned(),
            stdout_offset: stdout,
            stderr_offset: stderr,
            terminal_offset: terminal,
            tail_bytes: None,
            follow,
            credit: WINDOW,
        };
        let id = execution_id.to_owned();
        let watch = self.watch(Body::Observe(observe), id, follow, offsets, ANSWER);
        watch.await
    }

    async fn watch(
        &self,
        body: Body,
        execution_id: String,
        follow: bool,
        offsets: [u64; 3],
        within: Duration,
    ) -> Result<(Began, Watch), LinkError> {
        let notify = Arc::new(Notify::new());
        let watched = Watched::new(execution_id, follow, offsets, WINDOW, notify.clone());
        let call = self.shared.calls().watch(watched)?;
        let mut watch = Watch::new(self.shared.clone(), call, notify, self.outbox.clone());
        self.send(call, body).await?;
        let began = timeout(within, watch.began())
            .await
            .map_err(|_| LinkError::Lost)??;
        Ok((began, watch))
    }

    /// Looks at an execution, now or when it has ended, at most `wait` from now.
    pub(crate) async fn look(&self, id: &str, wait: Duration) -> Result<Execution, LinkError> {
        let body = Body::Look(Look {
            execution_id: id.to_owned(),
            wait_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
        });
        let wants = Wants::Execution(id.to_owned());
        match self.ask(body, wants, wait + ANSWER).await? {
            Answer::Execution(execution) => Ok(*execution),
            _ => Err(LinkError::Lost),
        }
    }

    /// A page of executions.
    pub(crate) async fn list(&self, list: List) -> Result<Listed, LinkError> {
        let before = list.before_number;
        let wants = Wants::Listed { before };
        match self.ask(Body::List(list), wants, ANSWER).await? {
            Answer::Listed(listed) => Ok(listed),
            _ => Err(LinkError::Lost),
        }
    }

    /// Gives bytes to standard input; answers how far it has come.
    pub(crate) async fn write_stdin(
        &self,
        id: &str,
        offset: u64,
        data: Bytes,
        eof: bool,
    ) -> Result<u64, LinkError> {
        let body = Body::WriteStdin(WriteStdin {
            execution_id: id.to_owned(),
            offset,
            data,
            eof,
        });
        match self.ask(body, Wants::Stdin, ANSWER).await? {
            Answer::Stdin(accepted) => Ok(accepted.accepted_offset),
            _ => Err(LinkError::Lost),
        }
    }

    /// Sends a signal; answers whether there was still a process.
    pub(crate) async fn signal(&self, signal: Signal) -> Result<bool, LinkError> {
        self.deliver(Body::Signal(signal)).await
    }

    /// Sets the size of a terminal.
    pub(crate) async fn resize(&self, id: &str, size: TerminalSize) -> Result<bool, LinkError> {
        let (execution_id, size) = (id.to_owned(), Some(size));
        let resize = Resize { execution_id, size };
        self.deliver(Body::Resize(resize)).await
    }

    /// Ends all executions, and the runner some time after them; answers when they have ended.
    pub(crate) async fn end_all(&self, asked: Shutdown, limit: Duration) -> Result<(), LinkError> {
        let asked = self.ask(Body::Shutdown(asked), Wants::Delivered, limit);
        asked.await.map(drop)
    }

    async fn deliver(&self, body: Body) -> Result<bool, LinkError> {
        match self.ask(body, Wants::Delivered, ANSWER).await? {
            Answer::Delivered(delivered) => Ok(delivered),
            _ => Err(LinkError::Lost),
        }
    }

    async fn ask(&self, body: Body, wants: Wants, within: Duration) -> Result<Answer, LinkError> {
        let (call, answered) = self.shared.calls().once(wants)?;
        let _waiting = Waiting(&self.shared, call);
        self.send(call, body).await?;
        match timeout(within, answered).await {
            Ok(Ok(answer)) => answer.map_err(LinkError::Refused),
            Ok(Err(_)) => Err(self.shared.fault()),
            Err(_) => Err(LinkError::Lost),
        }
    }

    async fn send(&self, call: u64, body: Body) -> Result<(), LinkError> {
        self.shared.touch();
        let body = Some(body);
        let sent = self.outbox.send(ToRunner { call, body }).await;
        sent.map_err(|_| self.shared.fault())
    }
}

/// The frame that ends a call.
pub(super) const fn dropped(call: u64) -> ToRunner {
    ToRunner {
        call,
        body: Some(Body::Drop(DropCall {})),
    }
}
