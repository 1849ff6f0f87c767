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
    sandbox::{Action, Sandboxes},
    store::{KeyFilter, PageKey},
};

/// AdminService over the API keys and all that is sealed.
pub(crate) struct AdminRpc {
    keys: Arc<ApiKeys>,
    rotation: Rotation,
    sandboxes: Sandboxes,
}

impl AdminRpc {
    pub(crate) fn new(keys: Arc<ApiKeys>, rotation: Rotation, sandboxes: Sandboxes) -> Self {
        Self {
            keys,
            rotation,
            sandboxes,
        }
    }
}

/// A difference on the wire.
fn action(action: &Action) -> v1::ReconcileAction {
    v1::ReconcileAction {
        session_id: action.session_id.clone(),
        sandbox_id: action.sandbox_id.clone(),
        provider_sandbox_id: action.provider_sandbox_id.clone(),
        action: action.name.to_owned(),
        reason: Some(v1::Reason {
            code: action.code.to_owned(),
            message: action.why.to_owned(),
        }),
        error: action.error.as_ref().map(|error| v1::Reason {
            code: error.reason().name().to_owned(),
            message: error.message().to_owned(),
        }),
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

    async fn reconcile_provider(
        &self,
        request: Request<v1::ReconcileProviderRequest>,
    ) -> Result<Response<v1::ReconcileProviderResponse>, Status> {
        operator(&request)?;
        let asked = request.get_ref();
        let compared = self.sandboxes.compare(&asked.provider, asked.dry_run);
        let compared = compared.await?;
        Ok(Response::new(v1::ReconcileProviderResponse {
            actions: compared.actions.iter().map(action).collect(),
            actions_count: compared.count,
            examined: compared.examined,
            dry_run: asked.dry_run,
        }))
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
