//! A proper client, with the few calls that most tests begin with.

use std::net::SocketAddr;

use sandgate_proto::v1::{
    self, CreateSandboxRequest, CreateSessionRequest, ExecRequest, ExecResponse, ExecutionEnded,
    Sandbox, agent_service_client::AgentServiceClient,
    connection_service_client::ConnectionServiceClient, exec_response::Event,
    execution_ended::Outcome, execution_service_client::ExecutionServiceClient,
    provider_service_client::ProviderServiceClient, sandbox_service_client::SandboxServiceClient,
    secret_service_client::SecretServiceClient,
    session_file_service_client::SessionFileServiceClient,
    session_service_client::SessionServiceClient,
};
use tonic::{
    Status, Streaming,
    transport::{Channel, Endpoint},
};

/// A client. Clones share its connection.
#[derive(Clone)]
pub struct Client {
    /// The connection.
    pub channel: Channel,
}

/// A command that ended.
#[derive(Debug)]
pub struct Finished {
    /// Its sandbox.
    pub sandbox_id: String,
    /// What it printed.
    pub stdout: Vec<u8>,
    /// How it ended.
    pub ended: ExecutionEnded,
}

impl Finished {
    /// The code that it returned, if it did.
    pub fn exit_code(&self) -> Option<i32> {
        match self.ended.outcome {
            Some(Outcome::ExitCode(code)) => Some(code),
            _ => None,
        }
    }
}

impl Client {
    /// Connects.
    pub async fn connect(address: SocketAddr) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        Self {
            channel: endpoint.connect().await.unwrap(),
        }
    }

    /// SessionService.
    pub fn sessions(&self) -> SessionServiceClient<Channel> {
        SessionServiceClient::new(self.channel.clone())
    }

    /// AgentService.
    pub fn agents(&self) -> AgentServiceClient<Channel> {
        AgentServiceClient::new(self.channel.clone())
    }

    /// SandboxService.
    pub fn sandboxes(&self) -> SandboxServiceClient<Channel> {
        SandboxServiceClient::new(self.channel.clone())
    }

    /// ExecutionService.
    pub fn executions(&self) -> ExecutionServiceClient<Channel> {
        ExecutionServiceClient::new(self.channel.clone())
    }

    /// ProviderService.
    pub fn providers(&self) -> ProviderServiceClient<Channel> {
        ProviderServiceClient::new(self.channel.clone())
    }

    /// SecretService.
    pub fn secrets(&self) -> SecretServiceClient<Channel> {
        SecretServiceClient::new(self.channel.clone())
    }

    /// SessionFileService.
    pub fn session_files(&self) -> SessionFileServiceClient<Channel> {
        SessionFileServiceClient::new(self.channel.clone())
    }

    /// ConnectionService.
    pub fn connections(&self) -> ConnectionServiceClient<Channel> {
        ConnectionServiceClient::new(self.channel.clone())
    }

    /// Makes a session; its id.
    pub async fn session(&self) -> String {
        let made = self
            .sessions()
            .create_session(CreateSessionRequest::default())
            .await
            .unwrap();
        made.into_inner().session.unwrap().session_id
    }

    /// Makes a sandbox; its id.
    pub async fn sandbox(&self, session_id: &str) -> String {
        let request = CreateSandboxRequest {
            session_id: session_id.to_owned(),
            ..Default::default()
        };
        self.create(request)
            .await
            .unwrap()
            .sandbox
            .unwrap()
            .sandbox_id
    }

    /// A session with a running sandbox.
    pub async fn pair(&self) -> (String, String) {
        let session_id = self.session().await;
        let sandbox_id = self.sandbox(&session_id).await;
        (session_id, sandbox_id)
    }

    /// CreateSandbox.
    pub async fn create(
        &self,
        request: CreateSandboxRequest,
    ) -> Result<v1::CreateSandboxResponse, Status> {
        Ok(self.sandboxes().create_sandbox(request).await?.into_inner())
    }

    /// GetSandbox.
    pub async fn get(&self, session_id: &str, sandbox_id: &str) -> Result<Sandbox, Status> {
        let (session_id, sandbox_id) = (session_id.to_owned(), sandbox_id.to_owned());
        let request = v1::GetSandboxRequest {
            session_id,
            sandbox_id,
        };
        Ok(self
            .sandboxes()
            .get_sandbox(request)
            .await?
            .into_inner()
            .sandbox
            .unwrap())
    }

    /// StartSandbox.
    pub async fn start(&self, session_id: &str, sandbox_id: &str) -> Result<Sandbox, Status> {
        let (session_id, sandbox_id) = (session_id.to_owned(), sandbox_id.to_owned());
        let request = v1::StartSandboxRequest {
            session_id,
            sandbox_id,
            ..Default::default()
        };
        Ok(self
            .sandboxes()
            .start_sandbox(request)
            .await?
            .into_inner()
            .sandbox
            .unwrap())
    }

    /// StopSandbox.
    pub async fn stop(&self, session_id: &str, sandbox_id: &str) -> Result<Sandbox, Status> {
        let (session_id, sandbox_id) = (session_id.to_owned(), sandbox_id.to_owned());
        let request = v1::StopSandboxRequest {
            session_id,
            sandbox_id,
            ..Default::default()
        };
        Ok(self
            .sandboxes()
            .stop_sandbox(request)
            .await?
            .into_inner()
            .sandbox
            .unwrap())
    }

    /// DeleteSandbox.
    pub async fn delete(&self, session_id: &str, sandbox_id: &str) -> Result<Sandbox, Status> {
        let (session_id, sandbox_id) = (session_id.to_owned(), sandbox_id.to_owned());
        let request = v1::DeleteSandboxRequest {
            session_id,
            sandbox_id,
            ..Default::default()
        };
        Ok(self
            .sandboxes()
            .delete_sandbox(request)
            .await?
            .into_inner()
            .sandbox
            .unwrap())
    }

    /// Starts a command; its stream.
    pub async fn stream(
        &self,
        session_id: &str,
        sandbox_id: &str,
        command: &str,
    ) -> Result<Streaming<ExecResponse>, Status> {
        let request = ExecRequest {
            session_id: session_id.to_owned(),
            sandbox_id: sandbox_id.to_owned(),
            command: command.to_owned(),
            ..Default::default()
        };
        Ok(self.sandboxes().exec(request).await?.into_inner())
    }

    /// Runs a command to its end.
    pub async fn exec(
        &self,
        session_id: &str,
        sandbox_id: &str,
        command: &str,
    ) -> Result<Finished, Status> {
        let mut stream = self.stream(session_id, sandbox_id, command).await?;
        let (mut sandbox, mut stdout, mut ended) = (String::new(), Vec::new(), None);
        while let Some(message) = stream.message().await? {
            assert!(ended.is_none(), "something after ended: {message:?}");
            match message.event.unwrap() {
                Event::Started(started) => {
                    assert!(sandbox.is_empty(), "started twice");
                    sandbox = started.sandbox_id;
                }
                Event::Output(chunk) => {
                    assert_eq!(chunk.offset, stdout.len() as u64);
                    stdout.extend_from_slice(&chunk.data);
                }
                Event::Ended(end) => ended = Some(end),
                _ => {}
            }
        }
        let ended = ended.expect("a clean end without `ended`");
        Ok(Finished {
            sandbox_id: sandbox,
            stdout,
            ended,
        })
    }
}
