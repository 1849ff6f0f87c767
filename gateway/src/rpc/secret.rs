//! SecretService.

use std::sync::Arc;

use sandgate_proto::{
    Reason,
    v1::{self, secret_service_server::SecretService},
};
use secrecy::SecretSlice;
use tonic::{Request, Response, Status};

use super::{page::Page, principal};
use crate::{
    clock,
    credential::{Secret, Secrets},
    ids,
    store::PageKey,
};

/// SecretService over the secrets of sessions.
pub(crate) struct SecretRpc {
    secrets: Arc<Secrets>,
}

impl SecretRpc {
    pub(crate) fn new(secrets: Arc<Secrets>) -> Self {
        Self { secrets }
    }
}

#[tonic::async_trait]
impl SecretService for SecretRpc {
    async fn set_secret(
        &self,
        request: Request<v1::SetSecretRequest>,
    ) -> Result<Response<v1::SetSecretResponse>, Status> {
        let principal = principal(&request)?;
        let asked = request.into_inner();
        let session_id = ids::session_id(&asked.session_id)?;
        let value = SecretSlice::from(Vec::from(asked.value));
        let secret = self
            .secrets
            .set(&principal, session_id, &asked.name, value)
            .await?;
        Ok(Response::new(v1::SetSecretResponse {
            secret: Some(on_the_wire(secret)),
        }))
    }

    async fn list_secrets(
        &self,
        request: Request<v1::ListSecretsRequest>,
    ) -> Result<Response<v1::ListSecretsResponse>, Status> {
        let principal = principal(&request)?;
        let mut asked = request.into_inner();
        let session_id = ids::session_id(&asked.session_id)?;
        let (size, token) = (asked.page_size, std::mem::take(&mut asked.page_token));
        asked.page_size = 0;
        let page = Page::of(&principal, &asked, size, &token)?;
        let after = page.after.as_ref().map_or("", |key| &key.id);
        let mut rows = self
            .secrets
            .list(&principal, session_id, after, page.limit())
            .await?;
        let next_page_token = page.cut(&mut rows, |row| PageKey {
            time: 0,
            id: row.name.clone(),
        });
        let secrets = rows.into_iter().map(on_the_wire).collect();
        Ok(Response::new(v1::ListSecretsResponse {
            secrets,
            next_page_token,
        }))
    }

    async fn delete_secret(
        &self,
        request: Request<v1::DeleteSecretRequest>,
    ) -> Result<Response<v1::DeleteSecretResponse>, Status> {
        let principal = principal(&request)?;
        let asked = request.into_inner();
        let session_id = ids::session_id(&asked.session_id)?;
        let deleted = self.secrets.delete(&principal, session_id, &asked.name);
        match deleted.await {
            Err(problem) if asked.allow_missing && problem.reason() == Reason::SecretNotFound => {}
            done => done?,
        }
        Ok(Response::new(v1::DeleteSecretResponse::default()))
    }
}

fn on_the_wire(secret: Secret) -> v1::Secret {
    v1::Secret {
        name: secret.name,
        update_time: Some(clock::timestamp(secret.update_time)),
    }
}
