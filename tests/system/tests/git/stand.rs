//! A server of git, a provider, a gateway with the user's token, and a sandbox.

use std::{fs::File, path::Path, process::Stdio, time::Duration};

use sandgate_proto::v1::{
    CloneRepositoryRequest, CloneRepositoryResponse, ConfigureGitCredentialsRequest,
    ConfigureGitCredentialsResponse, CreateSandboxRequest, DeleteSessionRequest,
    SetConnectionRequest, SetSecretRequest, execution_ended::Outcome,
    git_service_client::GitServiceClient,
};
use sandgate_system::{Binary, Client, GitServer, Repositories};
use tempfile::TempDir;
use tokio::{runtime::Handle, task::block_in_place, time::timeout};
use tonic::{Status, transport::Channel};

use crate::kinds::{Kind, address};

/// The user's token: long enough for a search, and with letters that a URL has to have encoded.
pub(crate) const TOKEN: &str = "ghp_Zq7+Lw3/Xr9KtVb2NmPc5YdHs8JfGa4TeUo6BiCk1D";

/// All of them.
pub(crate) struct Stand {
    pub(crate) client: Client,
    pub(crate) session_id: String,
    pub(crate) sandbox_id: String,
    pub(crate) repositories: Repositories,
    pub(crate) server: GitServer,
    /// The server as sandboxes see it, which the token is for.
    pub(crate) origin: String,
    /// The only other place that it is for, where nobody is.
    pub(crate) other_origin: String,
    /// Holds the logs.
    pub(crate) folder: TempDir,
    _gateway: Binary,
    _provider: Vec<Binary>,
}

impl Drop for Stand {
    /// Removes the sandboxes of the session, which would else outlive the test.
    fn drop(&mut self) {
        let request = DeleteSessionRequest {
            session_id: self.session_id.clone(),
            ..Default::default()
        };
        let mut sessions = self.client.sessions();
        let removed = timeout(Duration::from_secs(30), sessions.delete_session(request));
        // What a test has broken may make it fail.
        let _ = block_in_place(|| Handle::current().block_on(removed));
    }
}

impl Stand {
    /// One whose user has [`TOKEN`].
    pub(crate) async fn start(kind: Kind) -> Self {
        let stand = Self::without_token(kind).await;
        stand.has_token(TOKEN).await;
        stand
    }

    /// One whose user has none.
    pub(crate) async fn without_token(kind: Kind) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let repositories = Repositories::new();
        let server = GitServer::start(repositories.root()).await;
        server.takes(TOKEN);
        let origin = format!("http://{}:{}", kind.machine().await, server.port);
        let provider = kind.start(folder.path()).await;
        let providers = format!("{}=http://{}", kind.id(), address(&provider));
        let other_origin = "http://other.example:8080".to_owned();
        let hosts = format!("{origin},{other_origin}");
        let gateway = gateway(folder.path(), &providers, &hosts).await;
        let client = Client::connect(gateway.address()).await;
        if kind == Kind::E2b {
            connect(&client, "e2b", "e2b_git").await;
        }
        let session_id = client.session().await;
        let request = CreateSandboxRequest {
            session_id: session_id.clone(),
            spec: Some(kind.spec()),
            ..Default::default()
        };
        let made = client.create(request).await.unwrap();
        Self {
            client,
            session_id,
            sandbox_id: made.sandbox.unwrap().sandbox_id,
            repositories,
            server,
            origin,
            other_origin,
            folder,
            _gateway: gateway,
            _provider: provider,
        }
    }

    /// From now on the user has this token.
    pub(crate) async fn has_token(&self, token: &str) {
        connect(&self.client, "github", token).await;
    }

    /// From now on the session has it as a secret.
    pub(crate) async fn has_secret(&self, token: &str) {
        let request = SetSecretRequest {
            session_id: self.session_id.clone(),
            name: "GITHUB_TOKEN".to_owned(),
            value: token.to_owned().into(),
            ..Default::default()
        };
        self.client.secrets().set_secret(request).await.unwrap();
    }

    pub(crate) fn git(&self) -> GitServiceClient<Channel> {
        GitServiceClient::new(self.client.channel.clone())
    }

    /// A request about a path of the server.
    pub(crate) fn request(&self, path: &str) -> CloneRepositoryRequest {
        CloneRepositoryRequest {
            session_id: self.session_id.clone(),
            sandbox_id: self.sandbox_id.clone(),
            repository: format!("{}{path}", self.origin),
            ..Default::default()
        }
    }

    /// CloneRepository.
    pub(crate) async fn clone(
        &self,
        request: CloneRepositoryRequest,
    ) -> Result<CloneRepositoryResponse, Status> {
        let answer = self.git().clone_repository(request).await;
        answer.map(tonic::Response::into_inner)
    }

    /// One that has to end well.
    pub(crate) async fn cloned(&self, request: CloneRepositoryRequest) -> CloneRepositoryResponse {
        let cloned = self.clone(request).await.unwrap();
        assert_eq!(code(&cloned), Some(0), "{cloned:?}");
        cloned
    }

    /// ConfigureGitCredentials for the default user.
    pub(crate) async fn configure(
        &self,
        hosts: &[&str],
    ) -> Result<ConfigureGitCredentialsResponse, Status> {
        let request = ConfigureGitCredentialsRequest {
            session_id: self.session_id.clone(),
            sandbox_id: self.sandbox_id.clone(),
            hosts: hosts.iter().map(|&host| host.to_owned()).collect(),
            ..Default::default()
        };
        let answer = self.git().configure_git_credentials(request).await;
        answer.map(tonic::Response::into_inner)
    }

    /// What a command prints, which has to end well.
    pub(crate) async fn said(&self, command: &str) -> String {
        let (code, said) = self.ran(command).await;
        assert_eq!(code, Some(0), "{command}: {said}");
        said
    }

    /// How a command ends, and what it prints.
    pub(crate) async fn ran(&self, command: &str) -> (Option<i32>, String) {
        let command = format!("exec 2>&1; {command}");
        let (session, sandbox) = (&self.session_id, &self.sandbox_id);
        let ran = self.client.exec(session, sandbox, &command).await.unwrap();
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        (ran.exit_code(), said)
    }
}

/// What git ended with.
pub(crate) fn code(cloned: &CloneRepositoryResponse) -> Option<i32> {
    match cloned.ended.as_ref()?.outcome.as_ref()? {
        Outcome::ExitCode(code) => Some(*code),
        _ => None,
    }
}

async fn connect(client: &Client, provider: &str, key: &str) {
    let request = SetConnectionRequest {
        provider: provider.to_owned(),
        api_key: key.to_owned(),
        skip_validation: true,
        ..Default::default()
    };
    client.connections().set_connection(request).await.unwrap();
}

async fn gateway(folder: &Path, providers: &str, hosts: &str) -> Binary {
    let data = folder.join("gateway");
    let arguments = [
        "--listen",
        "127.0.0.1:0",
        "--providers",
        providers,
        "--data-dir",
        data.to_str().unwrap(),
    ];
    let environment = [("SANDGATE_LOG", "trace"), ("SANDGATE_GITHUB_HOSTS", hosts)];
    let log = Stdio::from(File::create(folder.join("gateway.log")).unwrap());
    Binary::start_with("sandgate-gateway", &arguments, &environment, log).await
}
