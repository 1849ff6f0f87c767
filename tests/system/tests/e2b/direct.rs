//! The provider's own contract, past any gateway.

use prost::Message as _;
use sandgate_proto::{
    CONTEXT_METADATA,
    provider::v1::{Credential, ProviderContext},
    v1::{
        GetSandboxRequest, RenewSandboxRequest, RenewSandboxResponse, RunCommandRequest,
        RunCommandResponse, Sandbox, sandbox_service_client::SandboxServiceClient,
    },
};
use sandgate_system::Client;
use tonic::{Request, Status, metadata::MetadataValue, transport::Channel};

use crate::stand::{KEY, Stand};

/// Calls about one sandbox.
pub(crate) struct Direct {
    client: Client,
    pub(crate) context: ProviderContext,
}

impl Direct {
    /// As the gateway of a tapped stand asks about a sandbox.
    pub(crate) async fn of(stand: &Stand, ids: &(String, String)) -> Self {
        // So that it asks with all that it knows.
        stand.client.get(&ids.0, &ids.1).await.unwrap();
        let seen = stand.tap.as_ref().unwrap().seen("GetSandbox");
        let last = seen.last().unwrap();
        Self {
            client: Client::connect(stand.provider()).await,
            context: last.context(),
        }
    }

    /// About the only sandbox of [`KEY`]'s account, of which no more is known than its ids.
    pub(crate) async fn about(stand: &Stand, ids: &(String, String)) -> Self {
        let upstream = stand.upstream().await;
        let detail = stand.emulator.detail(KEY, &upstream).await;
        let gateway_id = &detail["metadata"]["sandgate.gateway_id"];
        Self {
            client: Client::connect(stand.provider()).await,
            context: ProviderContext {
                gateway_id: gateway_id.as_str().unwrap().to_owned(),
                session_id: ids.0.clone(),
                sandbox_id: ids.1.clone(),
                provider_sandbox_id: upstream,
                generation: 1,
                credential: Some(Credential {
                    kind: "e2b".to_owned(),
                    value: KEY.into(),
                }),
                ..Default::default()
            },
        }
    }

    /// SandboxService.
    pub(crate) fn sandboxes(&self) -> SandboxServiceClient<Channel> {
        self.client.sandboxes()
    }

    /// A message with what goes with it.
    pub(crate) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let value = MetadataValue::from_bytes(&self.context.encode_to_vec());
        request.metadata_mut().insert_bin(CONTEXT_METADATA, value);
        request
    }

    /// GetSandbox.
    pub(crate) async fn get(&self) -> Result<Sandbox, Status> {
        let request = self.request(GetSandboxRequest::default());
        let answer = self.sandboxes().get_sandbox(request).await?;
        Ok(answer.into_inner().sandbox.unwrap())
    }

    /// RunCommand.
    pub(crate) async fn run(&self, command: &str) -> Result<RunCommandResponse, Status> {
        let request = self.request(RunCommandRequest {
            command: command.to_owned(),
            ..Default::default()
        });
        Ok(self.sandboxes().run_command(request).await?.into_inner())
    }

    /// RenewSandbox, to keep it for so many seconds from now.
    pub(crate) async fn renew(&self, seconds: i64) -> Result<RenewSandboxResponse, Status> {
        let request = self.request(RenewSandboxRequest {
            keep_for: Some(prost_types::Duration { seconds, nanos: 0 }),
            ..Default::default()
        });
        Ok(self.sandboxes().renew_sandbox(request).await?.into_inner())
    }
}
