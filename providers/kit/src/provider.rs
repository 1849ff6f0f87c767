//! The trait that a provider implements: a life cycle, and a way to run a process.

use std::{future::Future, time::SystemTime};

use bytes::Bytes;
use sandgate_proto::v1::{Capabilities, SandboxSpec, SandboxState};

use crate::{CallContext, Command, Process, ProviderError, Spec};

/// One backend of sandboxes.
///
/// Every call gets the context that the gateway sent with it; a provider keeps no record of its
/// own and finds a sandbox by the context or by its ownership labels upstream. Dropping a future
/// may happen at any await only where a method says so; the kit runs life-cycle calls to their end
/// even if the caller went away, and those that change one sandbox one after the other.
pub trait Provider: Send + Sync + 'static {
    /// How a command runs here.
    type Process: Process;

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

    /// The live truth about one sandbox.
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

    /// Starts a stopped sandbox; one that runs stays as it is.
    fn start(
        &self,
        context: &CallContext,
    ) -> impl Future<Output = Result<Instance, ProviderError>> + Send;

    /// Stops a running sandbox and all its processes, keeping its files; one that is stopped stays
    /// as it is.
    fn stop(
        &self,
        context: &CallContext,
    ) -> impl Future<Output = Result<Instance, ProviderError>> + Send;

    /// Removes the sandbox and everything made for it. One that is gone already is no error.
    fn delete(
        &self,
        context: &CallContext,
    ) -> impl Future<Output = Result<(), ProviderError>> + Send;

    /// Starts a command in a running sandbox.
    ///
    /// # Errors
    /// `NotRunning` or `SandboxGone` for the sandbox. A command that cannot be started is no error:
    /// its process ends with [`crate::Outcome::StartFailed`].
    fn exec(
        &self,
        context: &CallContext,
        command: Command,
    ) -> impl Future<Output = Result<Self::Process, ProviderError>> + Send;
}

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
    /// What the provider wants back in the context of later calls: at most 4 KiB, never logged.
    pub state_data: Bytes,
}
