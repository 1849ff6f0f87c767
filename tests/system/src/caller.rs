//! A caller with a key of its own, whose calls show their answers as they are on the wire.

use std::net::SocketAddr;

use bytes::Bytes;
use prost::Message;
use sandgate_proto::v1::{
    CreateSandboxRequest, CreateSandboxResponse, CreateSessionRequest, CreateSessionResponse,
    IssueApiKeyRequest, IssueApiKeyResponse, RevokeApiKeyRequest,
};
use tonic::Request;

use crate::{Raw, Reply, framed};

/// The organisation of keys that tests issue.
const ORG: &str = "acme";

/// A connection, and the key that its calls send.
#[derive(Clone)]
pub struct Caller {
    raw: Raw,
    /// What its calls send as `authorization`.
    pub authorization: String,
    /// The key's id; empty where nobody issued it.
    pub api_key_id: String,
}

impl Caller {
    /// Connects.
    pub async fn connect(address: SocketAddr, key: &str) -> Self {
        Self {
            raw: Raw::connect(address).await,
            authorization: format!("Bearer {key}"),
            api_key_id: String::new(),
        }
    }

    /// The same key at another gateway.
    pub async fn at(&self, address: SocketAddr) -> Self {
        Self {
            raw: Raw::connect(address).await,
            ..self.clone()
        }
    }

    /// Calls `Service/Rpc` of the contract.
    pub async fn call(&self, rpc: &str, request: &impl Message) -> Reply {
        self.call_with(rpc, &[], request).await
    }

    /// The same with more headers.
    pub async fn call_with(
        &self,
        rpc: &str,
        headers: &[(&str, &str)],
        request: &impl Message,
    ) -> Reply {
        self.send(rpc, headers, framed(request)).await
    }

    /// The same with a body that is there already.
    pub async fn send(&self, rpc: &str, headers: &[(&str, &str)], body: Bytes) -> Reply {
        let mut all = vec![("authorization", self.authorization.as_str())];
        all.extend(headers);
        let path = format!("/sandbox.v1.{rpc}");
        self.raw.call(&path, &all, body).await
    }

    /// A request for a proper client, with this key.
    pub fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let value = self.authorization.parse().unwrap();
        request.metadata_mut().insert("authorization", value);
        request
    }

    /// A key with these scopes, for a user of the organisation `acme`.
    pub async fn issue(&self, user_id: &str, scopes: &[&str]) -> Self {
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        self.issue_as(IssueApiKeyRequest {
            org_id: ORG.to_owned(),
            user_id: user_id.to_owned(),
            scopes,
            ..Default::default()
        })
        .await
    }

    /// A key like this.
    pub async fn issue_as(&self, request: IssueApiKeyRequest) -> Self {
        let reply = self.call("AdminService/IssueApiKey", &request).await;
        let issued: IssueApiKeyResponse = reply.message();
        Self {
            raw: self.raw.clone(),
            authorization: format!("Bearer {}", issued.secret),
            api_key_id: issued.api_key.unwrap().api_key_id,
        }
    }

    /// Ends a key.
    pub async fn revoke(&self, api_key_id: &str) {
        let request = RevokeApiKeyRequest {
            api_key_id: api_key_id.to_owned(),
            ..Default::default()
        };
        let reply = self.call("AdminService/RevokeApiKey", &request).await;
        assert_eq!(reply.status().code(), tonic::Code::Ok);
    }

    /// Makes a session; its id.
    pub async fn session(&self) -> String {
        self.session_as(CreateSessionRequest::default()).await
    }

    /// Makes a session like this; its id.
    pub async fn session_as(&self, request: CreateSessionRequest) -> String {
        let reply = self.call("SessionService/CreateSession", &request).await;
        let made: CreateSessionResponse = reply.message();
        made.session.unwrap().session_id
    }

    /// Makes a sandbox, with an alias if that is not empty.
    pub async fn create(&self, session_id: &str, alias: &str) -> Reply {
        let request = CreateSandboxRequest {
            session_id: session_id.to_owned(),
            alias: alias.to_owned(),
            ..Default::default()
        };
        self.call("SandboxService/CreateSandbox", &request).await
    }

    /// A session with a running sandbox.
    pub async fn pair(&self) -> (String, String) {
        let session_id = self.session().await;
        let made: CreateSandboxResponse = self.create(&session_id, "").await.message();
        (session_id, made.sandbox.unwrap().sandbox_id)
    }
}
