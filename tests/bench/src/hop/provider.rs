//! The provider that everything is measured over: it does no work, so that the way to it is what
//! counts. Served as a provider of the project is.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use sandgate_proto::v1::{
    self, ExecResponse, Execution, ExecutionState, OutputChunk, Sandbox, SandboxState,
    exec_response::Event,
    execution_ended::Outcome,
    execution_service_server::{ExecutionService, ExecutionServiceServer},
    sandbox_service_server::{SandboxService, SandboxServiceServer},
};
use sandgate_service::{Drain, Server, TlsFiles, process};
use tokio::process::Command;
use tonic::{Request, Response, Status, codegen::BoxStream, service::Routes};

use super::listed::Listed;
use crate::{
    child::Running,
    config::ProviderArgs,
    error::{Error, Result, machine},
};

/// Its id in the gateway's configuration.
pub(crate) const ID: &str = "bench";
/// Bytes of one piece of output.
pub(crate) const CHUNK: usize = 64 * 1024;

/// Starts it as a process of its own.
pub(crate) async fn start() -> Result<(Running, SocketAddr)> {
    start_with(&[]).await
}

/// The same, with arguments of `ProviderArgs`.
pub(crate) async fn start_with(arguments: &[&str]) -> Result<(Running, SocketAddr)> {
    let own = std::env::current_exe().map_err(machine("cannot tell where this program is"))?;
    let mut command = Command::new(own);
    let command = command.arg("provider").args(arguments);
    let mut provider = Running::start(command, "run the program where it was built")?;
    let address = provider.ready().await?;
    Ok((provider, address))
}

/// Serves until a signal; says where on stdout.
pub(crate) async fn run(args: &ProviderArgs) -> Result<()> {
    let listed = args.lists.map(|count| {
        let state = match args.stopped {
            true => SandboxState::Stopped,
            false => SandboxState::Running,
        };
        Listed::new(count, state)
    });
    let bench = Arc::new(Bench { listed });
    let server = Server::bind((Ipv4Addr::LOCALHOST, 0).into(), &TlsFiles::default()).await;
    let server = server.map_err(|error| Error::Program {
        program: "the bench provider".into(),
        what: error.to_string(),
    })?;
    let server = server.trusting_peers();
    let routes = Routes::new(SandboxServiceServer::from_arc(bench.clone()))
        .add_service(ExecutionServiceServer::from_arc(bench))
        .prepare();
    println!("bench provider ready on {}", server.address());
    let drain = Drain::new();
    let served = server.serve(move |_| routes.clone(), drain.clone());
    process::until_drained(drain, Duration::ZERO, served)
        .await
        .map_err(machine("cannot listen for signals"))
}

/// What the provider answers with.
struct Bench {
    /// What it says that it has; none: it does not say.
    listed: Option<Listed>,
}

/// How it describes a sandbox.
pub(super) fn sandbox(session_id: String, sandbox_id: String) -> Sandbox {
    Sandbox {
        session_id,
        sandbox_id,
        provider: ID.to_owned(),
        provider_sandbox_id: "bench-1".to_owned(),
        state: SandboxState::Running.into(),
        workspace_path: "/workspace".to_owned(),
        generation: 1,
        ..Default::default()
    }
}

#[tonic::async_trait]
impl SandboxService for Bench {
    async fn create_sandbox(
        &self,
        request: Request<v1::CreateSandboxRequest>,
    ) -> std::result::Result<Response<v1::CreateSandboxResponse>, Status> {
        let asked = request.into_inner();
        Ok(Response::new(v1::CreateSandboxResponse {
            sandbox: Some(sandbox(asked.session_id, asked.sandbox_id)),
            ..Default::default()
        }))
    }

    async fn get_sandbox(
        &self,
        request: Request<v1::GetSandboxRequest>,
    ) -> std::result::Result<Response<v1::GetSandboxResponse>, Status> {
        let asked = request.into_inner();
        let sandbox = Some(sandbox(asked.session_id, asked.sandbox_id));
        Ok(Response::new(v1::GetSandboxResponse { sandbox }))
    }

    async fn list_sandboxes(
        &self,
        request: Request<v1::ListSandboxesRequest>,
    ) -> std::result::Result<Response<v1::ListSandboxesResponse>, Status> {
        let Some(listed) = &self.listed else {
            return Err(Status::unimplemented("this provider does not tell"));
        };
        let asked = request.into_inner();
        let page = listed.page(asked.page_size, &asked.page_token)?;
        Ok(Response::new(page))
    }

    /// Something always runs, so that no clock of a sandbox runs down.
    async fn renew_sandbox(
        &self,
        request: Request<v1::RenewSandboxRequest>,
    ) -> std::result::Result<Response<v1::RenewSandboxResponse>, Status> {
        let asked = request.into_inner();
        Ok(Response::new(v1::RenewSandboxResponse {
            sandbox: Some(sandbox(asked.session_id, asked.sandbox_id)),
            running_executions: 1,
            ..Default::default()
        }))
    }

    async fn delete_sandbox(
        &self,
        request: Request<v1::DeleteSandboxRequest>,
    ) -> std::result::Result<Response<v1::DeleteSandboxResponse>, Status> {
        let asked = request.into_inner();
        let mut sandbox = sandbox(asked.session_id, asked.sandbox_id);
        sandbox.state = SandboxState::Deleted.into();
        Ok(Response::new(v1::DeleteSandboxResponse {
            sandbox: Some(sandbox),
        }))
    }

    async fn get_capabilities(
        &self,
        _request: Request<v1::GetCapabilitiesRequest>,
    ) -> std::result::Result<Response<v1::GetCapabilitiesResponse>, Status> {
        let capabilities = v1::Capabilities {
            provider: ID.to_owned(),
            instance_id: ID.to_owned(),
            placement: v1::Placement::Any.into(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..Default::default()
        };
        Ok(Response::new(v1::GetCapabilitiesResponse {
            capabilities: Some(capabilities),
        }))
    }

    /// The command is the number of chunks to send.
    async fn exec(
        &self,
        request: Request<v1::ExecRequest>,
    ) -> std::result::Result<Response<BoxStream<ExecResponse>>, Status> {
        let asked = request.into_inner();
        let chunks: u64 = asked.command.parse().unwrap_or_default();
        let started = Event::Started(v1::ExecutionStarted {
            sandbox_id: asked.sandbox_id,
            execution_id: asked.execution_id,
            ..Default::default()
        });
        let data = Bytes::from(vec![b'x'; CHUNK]);
        let output = move |index: u64| {
            Event::Output(OutputChunk {
                channel: v1::OutputChannel::Stdout.into(),
                offset: index * CHUNK as u64,
                data: data.clone(),
            })
        };
        let ended = Event::Ended(v1::ExecutionEnded {
            outcome: Some(Outcome::ExitCode(0)),
            ..Default::default()
        });
        let events = stream::iter([started])
            .chain(stream::iter((0..chunks).map(output)))
            .chain(stream::iter([ended]))
            .map(|event| Ok(ExecResponse { event: Some(event) }));
        Ok(Response::new(Box::pin(events)))
    }
}

#[tonic::async_trait]
impl ExecutionService for Bench {
    async fn get_execution(
        &self,
        request: Request<v1::GetExecutionRequest>,
    ) -> std::result::Result<Response<v1::GetExecutionResponse>, Status> {
        let asked = request.into_inner();
        let execution = Execution {
            session_id: asked.session_id,
            sandbox_id: asked.sandbox_id,
            execution_id: asked.execution_id,
            state: ExecutionState::Running.into(),
            command: "sleep 60".to_owned(),
            cwd: "/workspace".to_owned(),
            ..Default::default()
        };
        Ok(Response::new(v1::GetExecutionResponse {
            execution: Some(execution),
        }))
    }
}
