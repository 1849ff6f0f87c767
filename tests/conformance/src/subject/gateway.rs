//! The way through a gateway: a session made by CreateSession, and the caller's own key.

use sandgate_proto::v1::{
    self, provider_service_client::ProviderServiceClient,
    session_service_client::SessionServiceClient,
};
use tokio::time::timeout;
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataMap, MetadataValue},
    transport::Channel,
};

use super::{QUICK, Road, SLOW};
use crate::{
    Options,
    failure::{Failure, broken},
};

/// A gateway, with a session of this run.
pub(super) struct Gateway {
    channel: Channel,
    bearer: Option<MetadataValue<Ascii>>,
    session_id: String,
}

/// `Bearer` and a key, as metadata has it.
pub(super) fn bearer(key: Option<&String>) -> Result<Option<MetadataValue<Ascii>>, Failure> {
    let parse = |key: &String| format!("Bearer {key}").parse().ok();
    match key {
        None => Ok(None),
        Some(key) => parse(key)
            .map(Some)
            .ok_or_else(|| broken("the key holds characters that no header can carry")),
    }
}

impl Gateway {
    pub(super) async fn open(options: &Options, channel: Channel) -> Result<Self, Failure> {
        let mut gateway = Self {
            channel,
            bearer: bearer(options.api_key.as_ref().or(options.token.as_ref()))?,
            session_id: String::new(),
        };
        let capabilities = gateway.capabilities(&options.provider).await?;
        let request = gateway.request(v1::CreateSessionRequest {
            title: "conformance".to_owned(),
            capabilities,
            ..Default::default()
        });
        let mut client = SessionServiceClient::new(gateway.channel.clone());
        let made = in_time("CreateSession", client.create_session(request)).await?;
        gateway.session_id = made
            .session
            .map(|session| session.session_id)
            .ok_or_else(|| broken("CreateSession answered without a session"))?;
        Ok(gateway)
    }

    /// What a session needs to be granted to use the provider.
    async fn capabilities(&self, provider: &str) -> Result<Vec<v1::CapabilityRef>, Failure> {
        let request = self.request(v1::GetProviderRequest {
            provider: provider.to_owned(),
        });
        let mut client = ProviderServiceClient::new(self.channel.clone());
        let answer = in_time("GetProvider", client.get_provider(request)).await?;
        let refs = answer
            .provider
            .map(|known| known.capability_refs)
            .unwrap_or_default();
        let granted = refs.into_iter().map(|name| v1::CapabilityRef {
            r#ref: name,
            config: None,
        });
        Ok(granted.collect())
    }

    fn request<M>(&self, message: M) -> Request<M> {
        let mut request = Request::new(message);
        request.set_timeout(QUICK);
        self.dress("", request.metadata_mut());
        request
    }
}

async fn in_time<R>(
    rpc: &'static str,
    call: impl Future<Output = Result<tonic::Response<R>, Status>>,
) -> Result<R, Failure> {
    match timeout(SLOW, call).await {
        Err(_) => Err(Failure::Late { rpc, limit: SLOW }),
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => {
            let status = Box::new(status);
            Err(Failure::Call { rpc, status })
        }
    }
}

#[async_trait::async_trait]
impl Road for Gateway {
    fn session_id(&self) -> &str {
        &self.session_id
    }

    fn dress(&self, _sandbox_id: &str, metadata: &mut MetadataMap) {
        if let Some(bearer) = &self.bearer {
            metadata.insert("authorization", bearer.clone());
        }
    }

    fn learn(&self, _sandbox_id: &str, _metadata: &MetadataMap) {}

    async fn close(&self) -> Result<(), Failure> {
        let mut request = self.request(v1::DeleteSessionRequest {
            session_id: self.session_id.clone(),
            allow_missing: true,
            ..Default::default()
        });
        request.set_timeout(SLOW);
        let mut client = SessionServiceClient::new(self.channel.clone());
        let answer = in_time("DeleteSession", client.delete_session(request)).await?;
        if answer.pending_sandbox_ids.is_empty() {
            return Ok(());
        }
        let pending = answer.pending_sandbox_ids;
        Err(broken(format!("DeleteSession left {pending:?} behind")))
    }
}
