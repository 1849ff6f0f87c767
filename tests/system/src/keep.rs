//! What tests keep at a gateway: secrets of sessions, keys of users.

use sandgate_proto::v1::{
    self, SandboxSpec, admin_service_client::AdminServiceClient,
    git_service_client::GitServiceClient,
};
use tonic::{Status, transport::Channel};

use crate::Client;

impl Client {
    /// AdminService.
    pub fn admin(&self) -> AdminServiceClient<Channel> {
        AdminServiceClient::new(self.channel.clone())
    }

    /// GitService.
    pub fn git(&self) -> GitServiceClient<Channel> {
        GitServiceClient::new(self.channel.clone())
    }

    /// RotateKeys.
    pub async fn rotate_keys(&self) -> Result<v1::RotateKeysResponse, Status> {
        let request = v1::RotateKeysRequest::default();
        Ok(self.admin().rotate_keys(request).await?.into_inner())
    }

    /// SetSecret.
    pub async fn set_secret(&self, session_id: &str, name: &str, value: impl Into<Vec<u8>>) {
        let request = v1::SetSecretRequest {
            session_id: session_id.to_owned(),
            name: name.to_owned(),
            value: value.into().into(),
            ..Default::default()
        };
        self.secrets().set_secret(request).await.unwrap();
    }

    /// DeleteSecret.
    pub async fn delete_secret(&self, session_id: &str, name: &str) {
        let request = v1::DeleteSecretRequest {
            session_id: session_id.to_owned(),
            name: name.to_owned(),
            ..Default::default()
        };
        self.secrets().delete_secret(request).await.unwrap();
    }

    /// SetConnection, untried; where a user is named, for that one of `acme`.
    pub async fn connect_to(&self, provider: &str, api_key: &str, user_id: &str) {
        let request = v1::SetConnectionRequest {
            provider: provider.to_owned(),
            api_key: api_key.to_owned(),
            org_id: org_of(user_id),
            user_id: user_id.to_owned(),
            skip_validation: true,
            ..Default::default()
        };
        self.connections().set_connection(request).await.unwrap();
    }

    /// DeleteConnection, of the caller's own.
    pub async fn disconnect(&self, provider: &str) {
        let request = v1::DeleteConnectionRequest {
            provider: provider.to_owned(),
            ..Default::default()
        };
        self.connections().delete_connection(request).await.unwrap();
    }

    /// Makes a session of this user of `acme`; its id.
    pub async fn session_of(&self, user_id: &str) -> String {
        let request = v1::CreateSessionRequest {
            org_id: org_of(user_id),
            user_id: user_id.to_owned(),
            ..Default::default()
        };
        let made = self.sessions().create_session(request).await.unwrap();
        made.into_inner().session.unwrap().session_id
    }

    /// Makes a sandbox at a provider; its id.
    pub async fn sandbox_at(&self, session_id: &str, provider: &str) -> Result<String, Status> {
        let request = v1::CreateSandboxRequest {
            session_id: session_id.to_owned(),
            spec: Some(SandboxSpec {
                provider: provider.to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let made = self.create(request).await?;
        Ok(made.sandbox.unwrap().sandbox_id)
    }
}

fn org_of(user_id: &str) -> String {
    match user_id {
        "" => String::new(),
        _ => "acme".to_owned(),
    }
}
