//! The calls that a figure is made of, through the gateway.

use std::{future::Future, time::Duration};

use sandgate_proto::v1::{
    CapabilityRef, CreateSandboxRequest, CreateSessionRequest, DeleteSandboxRequest,
    DeleteSessionRequest, ExecRequest, ExecResponse, GetExecutionRequest, GetProviderRequest,
    Sandbox, StartExecutionRequest, StreamExecutionRequest, StreamExecutionResponse,
    exec_response::Event, execution_ended::Outcome,
    execution_service_client::ExecutionServiceClient,
    provider_service_client::ProviderServiceClient, sandbox_service_client::SandboxServiceClient,
    session_service_client::SessionServiceClient,
};
use tokio::time::timeout;
use tonic::{Response, Status, Streaming, transport::Channel};

use crate::{
    error::{Error, Result},
    way::Way,
};

/// How long a call may take that is not measured.
const PATIENCE: Duration = Duration::from_secs(120);

/// A client with a session.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) way: Way,
    pub(super) session_id: String,
}

impl Client {
    /// Opens a session with all that a provider stands for.
    pub(super) async fn open(way: Way, provider: &str) -> Result<Self> {
        let asked = GetProviderRequest {
            provider: provider.to_owned(),
        };
        let mut providers = ProviderServiceClient::new(way.channel(0));
        let known = answer(&way, providers.get_provider(way.request(asked))).await?;
        let names = known.provider.unwrap_or_default().capability_refs;
        let capability = |name| CapabilityRef {
            r#ref: name,
            config: None,
        };
        let asked = CreateSessionRequest {
            capabilities: names.into_iter().map(capability).collect(),
            ..Default::default()
        };
        let mut sessions = SessionServiceClient::new(way.channel(0));
        let made = answer(&way, sessions.create_session(way.request(asked))).await?;
        let session_id = made.session.unwrap_or_default().session_id;
        Ok(Self { way, session_id })
    }

    /// Deletes the session and all its sandboxes. What cannot be deleted is for the clean-up.
    pub(super) async fn close(&self) {
        let asked = DeleteSessionRequest {
            session_id: self.session_id.clone(),
            ..Default::default()
        };
        let mut sessions = SessionServiceClient::new(self.way.channel(0));
        let deleted = sessions.delete_session(self.way.request(asked));
        if let Err(error) = answer(&self.way, deleted).await {
            eprintln!("deleting the session: {error}");
        }
    }

    /// Makes a sandbox with nothing but defaults; returns when it runs.
    pub(super) async fn create(&self) -> Result<Sandbox> {
        let asked = CreateSandboxRequest {
            session_id: self.session_id.clone(),
            ..Default::default()
        };
        let mut sandboxes = self.sandboxes(0);
        let made = answer(&self.way, sandboxes.create_sandbox(self.way.request(asked)));
        Ok(made.await?.sandbox.unwrap_or_default())
    }

    /// Deletes a sandbox.
    pub(super) async fn delete(&self, sandbox_id: &str) -> Result<()> {
        let asked = DeleteSandboxRequest {
            session_id: self.session_id.clone(),
            sandbox_id: sandbox_id.to_owned(),
            ..Default::default()
        };
        let mut sandboxes = self.sandboxes(0);
        answer(&self.way, sandboxes.delete_sandbox(self.way.request(asked)))
            .await
            .map(|_| ())
    }

    /// Runs a program to its end, over a connection; bytes that it printed.
    ///
    /// # Errors
    /// Also where it did not exit with 0, or output is missing.
    pub(super) async fn run(
        &self,
        connection: usize,
        sandbox_id: &str,
        argv: &[&str],
    ) -> Result<u64> {
        let mut stream = self.exec(connection, sandbox_id, argv).await?;
        let mut bytes = 0;
        loop {
            let event = next(&self.way, &mut stream).await?;
            match event.and_then(|event| event.event) {
                Some(Event::Output(output)) => bytes += output.data.len() as u64,
                Some(Event::Ended(ended)) => match ended.outcome {
                    Some(Outcome::ExitCode(0)) => return Ok(bytes),
                    other => return Err(self.way.wrong(format!("{argv:?} ended: {other:?}"))),
                },
                Some(Event::Gap(gap)) => {
                    return Err(self.way.wrong(format!("output is missing: {gap:?}")));
                }
                Some(_) => {}
                None => return Err(self.way.wrong("a stream without an end")),
            }
        }
    }

    async fn exec(
        &self,
        connection: usize,
        sandbox_id: &str,
        argv: &[&str],
    ) -> Result<Streaming<ExecResponse>> {
        let asked = ExecRequest {
            session_id: self.session_id.clone(),
            sandbox_id: sandbox_id.to_owned(),
            argv: owned(argv),
            ..Default::default()
        };
        let mut sandboxes = self.sandboxes(connection);
        answer(&self.way, sandboxes.exec(self.way.request(asked))).await
    }

    /// Starts a program; the id of its execution.
    pub(super) async fn start(&self, sandbox_id: &str, argv: &[&str]) -> Result<String> {
        let asked = StartExecutionRequest {
            session_id: self.session_id.clone(),
            sandbox_id: sandbox_id.to_owned(),
            argv: owned(argv),
            ..Default::default()
        };
        let mut executions = self.executions(0);
        let started = executions.start_execution(self.way.request(asked));
        let started = answer(&self.way, started).await?;
        Ok(started.execution.unwrap_or_default().execution_id)
    }

    /// A stream of all output of an execution, from its beginning until it ends.
    pub(super) async fn follow(
        &self,
        connection: usize,
        sandbox_id: &str,
        execution_id: &str,
    ) -> Result<Streaming<StreamExecutionResponse>> {
        let asked = StreamExecutionRequest {
            session_id: self.session_id.clone(),
            sandbox_id: sandbox_id.to_owned(),
            execution_id: execution_id.to_owned(),
            follow: true,
            ..Default::default()
        };
        let mut executions = self.executions(connection);
        let stream = executions.stream_execution(self.way.request(asked));
        answer(&self.way, stream).await
    }

    /// The next event of such a stream; none at its end.
    pub(super) async fn next(
        &self,
        stream: &mut Streaming<StreamExecutionResponse>,
    ) -> Result<Option<StreamExecutionResponse>> {
        next(&self.way, stream).await
    }

    /// Looks at an execution: the smallest call that reaches its provider.
    pub(super) async fn look(&self, sandbox_id: &str, execution_id: &str) -> Result<()> {
        let asked = GetExecutionRequest {
            session_id: self.session_id.clone(),
            sandbox_id: sandbox_id.to_owned(),
            execution_id: execution_id.to_owned(),
        };
        let mut executions = self.executions(0);
        answer(&self.way, executions.get_execution(self.way.request(asked)))
            .await
            .map(|_| ())
    }

    /// An answer that cannot be right.
    pub(super) fn wrong(&self, what: impl Into<String>) -> Error {
        self.way.wrong(what)
    }

    fn sandboxes(&self, connection: usize) -> SandboxServiceClient<Channel> {
        SandboxServiceClient::new(self.way.channel(connection))
    }

    fn executions(&self, connection: usize) -> ExecutionServiceClient<Channel> {
        ExecutionServiceClient::new(self.way.channel(connection))
    }
}

fn owned(argv: &[&str]) -> Vec<String> {
    argv.iter().map(|part| (*part).to_owned()).collect()
}

pub(super) async fn answer<T>(
    way: &Way,
    call: impl Future<Output = std::result::Result<Response<T>, Status>>,
) -> Result<T> {
    let answer = timeout(PATIENCE, call).await;
    let answer = answer.map_err(|_| Error::Late("a call"))?;
    Ok(answer.map_err(|status| way.failed(status))?.into_inner())
}

pub(super) async fn next<T>(way: &Way, stream: &mut Streaming<T>) -> Result<Option<T>> {
    let event = timeout(PATIENCE, stream.message()).await;
    let event = event.map_err(|_| Error::Late("a stream"))?;
    event.map_err(|status| way.failed(status))
}
