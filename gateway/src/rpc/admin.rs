//! AdminService.

use std::sync::Arc;

use sandgate_proto::v1::{self, admin_service_server::AdminService};
use secrecy::ExposeSecret as _;
use tonic::{Request, Response, Status};

use super::{Rotation, page::Page, principal};
use crate::{
    clock,
    facts::Made,
    identity::{self, ApiKeys},
    principal::{ADMIN, Principal},
    problem::Result as Outcome,
    store::{KeyFilter, PageKey},
};

/// AdminService over the API keys and all that is sealed.
pub(crate) struct AdminRpc {
    keys: Arc<ApiKeys>,
    rotation: Rotation,
}

impl AdminRpc {
    pub(crate) fn new(keys: Arc<ApiKeys>, rotation: Rotation) -> Self {
        Self { keys, rotation }
    }
}

/// The caller, who has to be an operator.
fn operator<T>(request: &Request<T>) -> Outcome<Principal> {
    let principal = principal(request)?;
    principal.allowed(ADMIN)?;
    Ok(principal)
}

#[tonic::async_trait]
impl AdminService for AdminRpc {
    async fn issue_api_key(
        &self,
        request: Request<v1::IssueApiKeyRequest>,
    ) -> Result<Response<v1::IssueApiKeyResponse>, Status> {
        let principal = operator(&request)?;
        let issued = self.keys.issue(&principal, request.into_inner()).await?;
        let secret = issued.secret.as_ref().map(|secret| secret.expose_secret());
        let answer = v1::IssueApiKeyResponse {
            api_key: Some(identity::describe(&issued.key)),
            replayed: secret.is_none(),
            secret: secret.unwrap_or_default().to_owned(),
        };
        let made = Made {
            target: issued.key.api_key_id,
            ..Made::default()
        };
        Ok(super::made(answer, made))
    }

    async fn rotate_keys(
        &self,
        request: Request<v1::RotateKeysRequest>,
    ) -> Result<Response<v1::RotateKeysResponse>, Status> {
        operator(&request)?;
        Ok(Response::new(self.rotation.run().await?))
    }

    async fn revoke_api_key(
        &self,
        request: Request<v1::RevokeApiKeyRequest>,
    ) -> Result<Response<v1::RevokeApiKeyResponse>, Status> {
        operator(&request)?;
        let revoked = self.keys.revoke(&request.get_ref().api_key_id).await?;
        Ok(Response::new(v1::RevokeApiKeyResponse {
            api_key: Some(identity::describe(&revoked)),
        }))
    }

    async fn list_api_keys(
        &self,
        request: Request<v1::ListApiKeysRequest>,
    ) -> Result<Response<v1::ListApiKeysResponse>, Status> {
        let principal = operator(&request)?;
        let mut asked = request.into_inner();
        let (size, token) = (asked.page_size, std::mem::take(&mut asked.page_token));
        asked.page_size = 0;
        let page = Page::of(&principal, &asked, size, &token)?;
        let filter = KeyFilter {
            org_id: asked.org_id,
            user_id: asked.user_id,
            include_inactive: asked.include_inactive,
            now: clock::now(),
            after: page.after.clone(),
            limit: page.limit(),
        };
        let mut rows = self.keys.list(filter).await?;
        let next_page_token = page.cut(&mut rows, |row| PageKey {
            time: row.create_time,
            id: row.api_key_id.clone(),
        });
        Ok(Response::new(v1::ListApiKeysResponse {
            api_keys: rows.iter().map(identity::describe).collect(),
            next_page_token,
        }))
    }
}
