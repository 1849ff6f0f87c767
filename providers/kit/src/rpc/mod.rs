//! The services of the contract over a [`Provider`]: unwrap, call it, map the answer.

mod answer;
mod execution;
mod files;
mod git;
mod kept;
mod logs;
mod page;
mod ports;
mod renew;
mod requests;
mod run;
mod sandbox;
mod stream;
mod turns;

use std::{future::Future, sync::Arc};

use sandgate_proto::{Problem, Reason, v1};
use sandgate_runner_proto::v1::Start;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::Request;

use self::turns::Turns;
use crate::{
    CallContext, Instance, PortArgs, Provider, ProviderError, command, executions::Executions,
    files::Rooms, ports::Ports, spec::check_not_denied,
};

/// Serves one provider.
pub(crate) struct Service<P> {
    provider: Arc<P>,
    executions: Arc<Executions<P>>,
    ports: Arc<Ports<P>>,
    rooms: Rooms,
    turns: Arc<Turns>,
    tasks: TaskTracker,
}

impl<P: Provider> Service<P> {
    /// `shutdown` ends the links to sandboxes, not what runs there; `tasks` holds whatever outlives its call.
    pub(crate) fn new(
        provider: Arc<P>,
        ports: PortArgs,
        tasks: TaskTracker,
        shutdown: CancellationToken,
    ) -> Self {
        let ports = Ports::new(provider.clone(), ports, tasks.clone(), shutdown.clone());
        let executions = Executions::new(provider.clone(), tasks.clone(), shutdown);
        Self {
            provider,
            executions: Arc::new(executions),
            ports: Arc::new(ports),
            rooms: Rooms::default(),
            turns: Arc::default(),
            tasks,
        }
    }

    /// Runs life-cycle work to its end, even if the caller goes away half-way, after what came
    /// before for the same sandbox.
    async fn to_the_end<T, F, W>(&self, context: CallContext, work: W) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, ProviderError>> + Send + 'static,
        W: FnOnce(Arc<P>, CallContext) -> F + Send + 'static,
    {
        let provider = self.provider.clone();
        let sandbox_id = context.sandbox_id.clone();
        let turns = self.turns.clone();
        let task = self.tasks.spawn(async move {
            let _turn = turns.take(&context.sandbox_id).await;
            work(provider, context).await
        });
        match task.await {
            Ok(result) => result.map_err(|error| self.problem(error, &sandbox_id)),
            Err(error) => {
                tracing::error!(%error, sandbox_id, "a life-cycle call panicked");
                Err(Problem::new(
                    Reason::Internal,
                    "the provider failed; look at the sandbox before repeating the call, and at the provider's log",
                ))
            }
        }
    }

    /// The same for what brings a sandbox up. Where all executions were ended and the stop never came,
    /// the runner is still there and starts nothing more, so that only another one helps.
    async fn bring_up<F, W>(&self, context: CallContext, work: W) -> Result<Instance, Problem>
    where
        F: Future<Output = Result<Instance, ProviderError>> + Send + 'static,
        W: FnOnce(Arc<P>, CallContext) -> F + Send + 'static,
    {
        let (executions, ports) = (self.executions.clone(), self.ports.clone());
        self.to_the_end(context, |provider, context| async move {
            if executions.is_closed(&context.sandbox_id) {
                provider.stop(&context).await?;
                ports.close(&context.sandbox_id).await;
                executions.ended(&context.sandbox_id);
            }
            work(provider, context).await
        })
        .await
    }

    /// The start of an execution, checked: also that it asks for nothing that this provider says
    /// it cannot do.
    async fn checked(&self, request: v1::ExecRequest) -> Result<Start, ProviderError> {
        let start = command::checked(request)?;
        let asked = [
            ("exec_user", !start.user.is_empty()),
            ("terminal", start.terminal.is_some()),
        ];
        for (capability, _) in asked.into_iter().filter(|(_, asked)| *asked) {
            check_not_denied(capability, &self.provider.capabilities().await?)?;
        }
        Ok(start)
    }

    fn problem(&self, error: ProviderError, sandbox_id: &str) -> Problem {
        error.into_problem(self.provider.id(), sandbox_id)
    }

    fn sandbox(&self, instance: &Instance) -> v1::Sandbox {
        answer::sandbox(self.provider.id(), instance)
    }
}

fn context<T>(
    request: &Request<T>,
    session_id: &str,
    sandbox_id: &str,
) -> Result<CallContext, Problem> {
    CallContext::of_sandbox(request.metadata(), session_id, sandbox_id)
}
