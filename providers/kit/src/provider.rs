//! The trait that a provider implements: a life cycle, and a way to the runner in a sandbox.

use std::{
    future::Future,
    pin::Pin,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures::Stream;
use sandgate_proto::v1::{Capabilities, LogSource, OutputChannel, SandboxSpec, SandboxState};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{CallContext, Kind, PortAddress, ProviderError, Spec};

/// One backend of sandboxes.
///
/// Every call gets the context that the gateway sent with it; a provider keeps no record of its
/// own and finds a sandbox by the context or by its ownership labels upstream. Dropping a future
/// may happen at any await only where a method says so; the kit runs life-cycle calls to their end
/// even if the caller went away, and those that change one sandbox one after the other.
pub trait Provider: Send + Sync + 'static {
    /// A byte stream to a runner.
    type Link: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// The name under which gateways configure this provider, as in `container`.
    fn id(&self) -> &'static str;

    /// What this provider can do, asked without a sandbox. Cheap; called often.
    fn capabilities(&self) -> impl Future<Output = Result<Capabilities, ProviderError>> + Send;

    /// Whether what this provider forwards to can be reached now.
    fn health(&self) -> impl Future<Output = Result<(), ProviderError>> + Send;

    /// The spec with this provider's defaults filled in, as callers see it afterwards. Asks nobody.
    fn resolved(&self, spec: SandboxSpec) -> SandboxSpec {
        spec
    }

    /// Makes the sandbox that the context names and starts it. Repeating it for a sandbox that is
    /// already there answers with that one. A failure leaves nothing behind.
    fn create(
        &self,
        context: &CallContext,
        spec: Spec,
    ) -> impl Future<Output = Result<Instance, ProviderError>> + Send;

    /// The live truth about one sandbox. What it says of the state decides whether executions are
    /// lost: `Stopped`, `Failed`, `Deleting` and `Deleted` only where no process can be left.
    ///
    /// # Errors
    /// `SandboxGone` where the upstream no longer has it.
    fn get(
        &self,
        context: &CallContext,
    ) -> impl Future<Output = Result<Instance, ProviderError>> + Send;

    /// The sandboxes of the context's gateway, and of its session where it names one, found by
    /// their ownership labels; in the order of their ids.
    fn list(
        &self,
        context: &CallContext,
        page: Page,
    ) -> impl Future<Output = Result<Vec<Instance>, ProviderError>> + Send;

    /// Starts a stopped sandbox, or resumes a paused one; one that runs stays as it is.
    fn start(
        &self,
        context: &CallContext,
    ) -> impl Future<Output = Result<Instance, ProviderError>> + Send;

    /// Stops a running or paused sandbox and all its processes, keeping its files; one that is
    /// stopped stays as it is.
    fn stop(
        &self,
        context: &CallContext,
    ) -> impl Future<Output = Result<Instance, ProviderError>> + Send;

    /// Freezes a running sandbox; one that is paused stays as it is. `hibernate`: memory is written
    /// to disk and the machine is given back. From then on `reach` answers `NotRunning` at once.
    ///
    /// # Errors
    /// `NotRunning` where there is nothing to freeze; `Unsupported` where this provider, as by
    /// itself, cannot pause, or cannot hibernate.
    fn pause(
        &self,
        context: &CallContext,
        hibernate: bool,
    ) -> impl Future<Output = Result<Instance, ProviderError>> + Send {
        let _ = context;
        std::future::ready(Err(no_pause(hibernate)))
    }

    /// Lets a paused or hibernated sandbox go on, with the same processes. One that is stopped is
    /// started; one that runs stays as it is.
    ///
    /// # Errors
    /// `Unsupported` where this provider, as by itself, cannot pause.
    fn resume(
        &self,
        context: &CallContext,
    ) -> impl Future<Output = Result<Instance, ProviderError>> + Send {
        let _ = context;
        std::future::ready(Err(no_pause(false)))
    }

    /// Looks at one sandbox as `get` does, and sees to it that an upstream with a timer of its own
    /// does not end it within `keep_for` from now; none: that timer stays as it is. Never wakes the
    /// sandbox. The future may be dropped at any await.
    ///
    /// # Errors
    /// As `get`.
    fn renew(
        &self,
        context: &CallContext,
        keep_for: Option<Duration>,
    ) -> impl Future<Output = Result<Instance, ProviderError>> + Send {
        let _ = keep_for;
        self.get(context)
    }

    /// Removes the sandbox and everything made for it. One that is gone already is no error.
    fn delete(
        &self,
        context: &CallContext,
    ) -> impl Future<Output = Result<(), ProviderError>> + Send;

    /// Takes away what no gateway can know of and ask to delete: what a provider that was killed
    /// left without an owner. Never what may just be in the making. Called when the provider begins
    /// to serve and every ten minutes; the future may be dropped at any await.
    fn sweep(&self) -> impl Future<Output = Result<(), ProviderError>> + Send {
        std::future::ready(Ok(()))
    }

    /// Called once, after the last call: ends what the provider does by itself, and takes down what
    /// it holds that is no sandbox.
    fn close(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// A fresh byte stream to the runner inside the sandbox. Called seldom: the kit keeps the
    /// stream and sends all calls about the sandbox over it. Neither starts nor wakes the sandbox.
    /// The future may be dropped at any await.
    ///
    /// # Errors
    /// `NotRunning` or `SandboxGone` for the sandbox; `Unavailable` where the runner does not
    /// answer just now.
    fn reach(
        &self,
        context: &CallContext,
    ) -> impl Future<Output = Result<Reached<Self::Link>, ProviderError>> + Send;

    /// Whether the upstream gives every port of a sandbox an address by itself. Where it does not, the
    /// kit listens in its place, and has the runner that `reach` leads to connect to the port.
    fn gives_ports(&self) -> bool {
        false
    }

    /// The addresses that the upstream gives: that of one port, be it in use or not, or those of all
    /// that something listens on now, in any order. Never wakes the sandbox.
    ///
    /// # Errors
    /// `NotRunning` or `SandboxGone` for the sandbox; `Unsupported` where it gives none.
    fn addresses(
        &self,
        context: &CallContext,
        port: Option<u16>,
    ) -> impl Future<Output = Result<Vec<PortAddress>, ProviderError>> + Send {
        let _ = (context, port);
        std::future::ready(Err(ProviderError::new(
            Kind::Unsupported("ports"),
            "this provider has no way to a port of a sandbox (GetCapabilities says so)",
        )))
    }

    /// Lines of a log that the provider itself has: what it did with the sandbox, or the output of
    /// its main process. Never wakes the sandbox. The stream ends at the newest line, or with
    /// `follow` when the sandbox is gone.
    ///
    /// # Errors
    /// `Unsupported` for a log that the provider does not have; as it is, for each.
    fn logs(
        &self,
        context: &CallContext,
        query: LogQuery,
    ) -> impl Future<Output = Result<LogLines, ProviderError>> + Send {
        let _ = context;
        let capability = if query.source == LogSource::Main {
            "logs_main"
        } else {
            "logs_system"
        };
        std::future::ready(Err(ProviderError::new(
            Kind::Unsupported(capability),
            "this provider does not have that log (GetCapabilities says so); ask for EXECUTIONS",
        )))
    }
}

fn no_pause(hibernate: bool) -> ProviderError {
    let capability = if hibernate { "hibernate" } else { "pause" };
    ProviderError::new(
        Kind::Unsupported(capability),
        "this provider cannot pause sandboxes (GetCapabilities says so); stop the sandbox instead",
    )
}

/// A way to a runner.
pub struct Reached<L> {
    /// Where the runner reads and writes.
    pub link: L,
    /// What shows the runner that it is its provider who calls; empty where the transport does.
    pub secret: Bytes,
}

/// Which lines of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogQuery {
    /// `System` or `Main`.
    pub source: LogSource,
    /// Begin so many lines before the end; none: at the oldest. Does not count with a cursor.
    pub tail_lines: Option<u32>,
    /// Only lines from then on.
    pub since: Option<SystemTime>,
    /// Go on after the line that had this cursor; empty: no such line.
    pub cursor: String,
    /// Wait for new lines.
    pub follow: bool,
}

/// A line of a provider's own log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Where to go on after it; the provider's own word.
    pub cursor: String,
    /// When it was written.
    pub time: Option<SystemTime>,
    /// `DEBUG`, `INFO`, `WARN`, `ERROR`, `GAP`, or empty.
    pub level: &'static str,
    /// Of the main process: the channel.
    pub channel: OutputChannel,
    /// The line without its end, at most 64 KiB.
    pub data: Bytes,
}

/// Lines as they come, oldest first.
pub type LogLines = Pin<Box<dyn Stream<Item = Result<LogLine, ProviderError>> + Send>>;

/// Part of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Only sandboxes whose sandbox_id is greater than this; empty: from the start.
    pub after: String,
    /// At most so many.
    pub size: usize,
}

/// A sandbox as its provider sees it.
#[derive(Clone, Debug)]
pub struct Instance {
    /// The sandbox_id that the gateway gave it.
    pub sandbox_id: String,
    /// The session it was made for.
    pub session_id: String,
    /// Its id upstream.
    pub provider_sandbox_id: String,
    /// The replica of the provider that alone can reach it; empty where any can.
    pub instance_id: String,
    /// What it is doing.
    pub state: SandboxState,
    /// Why, where the state alone does not tell: an UPPER_SNAKE code and a sentence.
    pub reason: Option<(&'static str, String)>,
    /// The generation it was made with.
    pub generation: u64,
    /// Absolute path of the working folder inside.
    pub workspace_path: String,
    /// Absolute path of the user's home inside.
    pub home_path: String,
    /// When it was made.
    pub create_time: Option<SystemTime>,
    /// When it was last started.
    pub start_time: Option<SystemTime>,
    /// When the upstream itself ends it, if it does.
    pub expire_time: Option<SystemTime>,
    /// What the provider wants back in the context of later calls: at most 4 KiB, never logged.
    pub state_data: Bytes,
}
