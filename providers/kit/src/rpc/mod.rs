//! The services of the contract over a [`Provider`]: unwrap, call it, map the answer.

mod answer;
mod ledger;
mod turns;

use std::{future::Future, sync::Arc, time::Duration};

use sandgate_proto::{
    Outcome, Problem, Reason,
    v1::{self, SandboxSpec, sandbox_service_server::SandboxService},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{Request, Response, Status, codegen::BoxStream};

use self::{ledger::Ledger, turns::Turns};
use crate::{
    CallContext, Command, Instance, Kind, Page, Provider, ProviderError, Spec,
    command::{self, Terms},
    exec,
};

/// Messages of one stream that may wait for their reader.
const STREAM_QUEUE: usize = 4;
/// How long a provider may take to start a command: less than gateways wait for an answer.
const START_PATIENCE: Duration = Duration::from_secs(25);

/// Serves one provider.
pub(crate) struct Service<P> {
    provider: Arc<P>,
    ledger: Ledger,
    turns: Arc<Turns>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

impl<P: Provider> Service<P> {
    /// `shutdown` ends executions; `tasks` holds whatever outlives its call.
    pub(crate) fn new(provider: Arc<P>, tasks: TaskTracker, shutdown: CancellationToken) -> Self {
        Self {
            provider,
            ledger: Ledger::default(),
            turns: Arc::default(),
            tasks,
            shutdown,
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
                    "the provider failed; its log says why",
                ))
            }
        }
    }

    /// Starts a command and leaves it to a task of its own, so that a caller who goes away between
    /// the start and the first answer leaves nobody's process behind.
    async fn begin(
        &self,
        context: CallContext,
        command: Command,
        terms: Terms,
        observer: mpsc::Sender<v1::ExecResponse>,
    ) -> Result<(), ProviderError> {
        let (provider, shutdown) = (self.provider.clone(), self.shutdown.clone());
        let (begun, start) = oneshot::channel();
        self.tasks.spawn(async move {
            let sandbox_id = context.sandbox_id.clone();
            match timeout(START_PATIENCE, provider.exec(&context, command)).await {
                Ok(Ok(process)) => {
                    let _ = begun.send(Ok(()));
                    exec::Execution::new(process, terms, sandbox_id, observer, shutdown)
                        .run()
                        .await;
                }
                Ok(Err(error)) => drop(begun.send(Err(error))),
                Err(_) => drop(begun.send(Err(ProviderError::new(
                    Kind::Unavailable(Outcome::Ambiguous),
                    "the command was not seen to start in time; look at the sandbox before running it again",
                )))),
            }
        });
        start.await.unwrap_or_else(|_| {
            Err(ProviderError::new(
                Kind::Internal,
                "the provider failed; its log says why",
            ))
        })
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

#[tonic::async_trait]
impl<P: Provider> SandboxService for Service<P> {
    async fn get_capabilities(
        &self,
        _request: Request<v1::GetCapabilitiesRequest>,
    ) -> Result<Response<v1::GetCapabilitiesResponse>, Status> {
        let capabilities = self
            .provider
            .capabilities()
            .await
            .map_err(|error| self.problem(error, ""))?;
        Ok(Response::new(v1::GetCapabilitiesResponse {
            capabilities: Some(capabilities),
        }))
    }

    async fn create_sandbox(
        &self,
        request: Request<v1::CreateSandboxRequest>,
    ) -> Result<Response<v1::CreateSandboxResponse>, Status> {
        let body = request.get_ref();
        let context = context(&request, &body.session_id, &body.sandbox_id)?;
        let version = context.state_version;
        let asked: SandboxSpec = request.into_inner().spec.unwrap_or_default();
        let resolved = self.provider.resolved(asked.clone());
        let spec =
            Spec::try_from(asked).map_err(|error| self.problem(error, &context.sandbox_id))?;
        let instance = self
            .to_the_end(context, move |provider, context| async move {
                provider.create(&context, spec).await
            })
            .await?;
        let mut sandbox = self.sandbox(&instance);
        sandbox.spec = Some(resolved);
        let reply = v1::CreateSandboxResponse {
            sandbox: Some(sandbox),
            ..Default::default()
        };
        Ok(answer::with_state(reply, &instance, version))
    }

    async fn get_sandbox(
        &self,
        request: Request<v1::GetSandboxRequest>,
    ) -> Result<Response<v1::GetSandboxResponse>, Status> {
        let body = request.get_ref();
        let context = context(&request, &body.session_id, &body.sandbox_id)?;
        let instance = self
            .provider
            .get(&context)
            .await
            .map_err(|error| self.problem(error, &context.sandbox_id))?;
        let reply = v1::GetSandboxResponse {
            sandbox: Some(self.sandbox(&instance)),
        };
        Ok(answer::with_state(reply, &instance, context.state_version))
    }

    async fn list_sandboxes(
        &self,
        request: Request<v1::ListSandboxesRequest>,
    ) -> Result<Response<v1::ListSandboxesResponse>, Status> {
        let context = CallContext::read(request.metadata())?;
        let body = request.into_inner();
        let size = match body.page_size {
            0 => 50,
            asked => asked.min(1000) as usize,
        };
        let page = Page {
            after: body.page_token,
            size,
        };
        let instances = self
            .provider
            .list(&context, page)
            .await
            .map_err(|error| self.problem(error, ""))?;
        let next_page_token = match instances.last() {
            Some(last) if instances.len() >= size => last.sandbox_id.clone(),
            _ => String::new(),
        };
        let sandboxes = instances
            .iter()
            .map(|instance| self.sandbox(instance))
            .collect();
        Ok(Response::new(v1::ListSandboxesResponse {
            sandboxes,
            next_page_token,
        }))
    }

    async fn start_sandbox(
        &self,
        request: Request<v1::StartSandboxRequest>,
    ) -> Result<Response<v1::StartSandboxResponse>, Status> {
        let body = request.get_ref();
        let context = context(&request, &body.session_id, &body.sandbox_id)?;
        let version = context.state_version;
        let instance = self
            .to_the_end(context, |provider, context| async move {
                provider.start(&context).await
            })
            .await?;
        let reply = v1::StartSandboxResponse {
            sandbox: Some(self.sandbox(&instance)),
        };
        Ok(answer::with_state(reply, &instance, version))
    }

    async fn stop_sandbox(
        &self,
        request: Request<v1::StopSandboxRequest>,
    ) -> Result<Response<v1::StopSandboxResponse>, Status> {
        let body = request.get_ref();
        let context = context(&request, &body.session_id, &body.sandbox_id)?;
        let instance = self
            .to_the_end(context, |provider, context| async move {
                provider.stop(&context).await
            })
            .await?;
        let sandbox = Some(self.sandbox(&instance));
        Ok(Response::new(v1::StopSandboxResponse { sandbox }))
    }

    async fn delete_sandbox(
        &self,
        request: Request<v1::DeleteSandboxRequest>,
    ) -> Result<Response<v1::DeleteSandboxResponse>, Status> {
        let body = request.get_ref();
        let context = context(&request, &body.session_id, &body.sandbox_id)?;
        let (session_id, sandbox_id) =
            (context.owner.session_id.clone(), context.sandbox_id.clone());
        self.to_the_end(context, |provider, context| async move {
            provider.delete(&context).await
        })
        .await?;
        self.ledger.forget(&sandbox_id);
        let sandbox = Some(answer::tombstone(
            self.provider.id(),
            session_id,
            sandbox_id,
        ));
        Ok(Response::new(v1::DeleteSandboxResponse { sandbox }))
    }

    async fn exec(
        &self,
        request: Request<v1::ExecRequest>,
    ) -> Result<Response<BoxStream<v1::ExecResponse>>, Status> {
        let body = request.get_ref();
        let context = context(&request, &body.session_id, &body.sandbox_id)?;
        let sandbox_id = context.sandbox_id.clone();
        let (command, terms) = command::checked(request.into_inner())
            .map_err(|error| self.problem(error, &sandbox_id))?;
        let claim = self.ledger.claim(&sandbox_id, &terms.execution_id)?;
        let (observer, messages) = mpsc::channel(STREAM_QUEUE);
        match self.begin(context, command, terms, observer).await {
            Ok(()) => {}
            Err(error) => {
                claim.give_back(&self.ledger);
                return Err(self.problem(error, &sandbox_id).into());
            }
        }
        Ok(Response::new(Box::pin(exec::stream(messages))))
    }
}
