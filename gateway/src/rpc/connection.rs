//! ConnectionService.

use std::sync::Arc;

use sandgate_proto::{
    Reason,
    v1::{self, connection_service_server::ConnectionService},
};
use tonic::{Request, Response, Status};

use super::{page::Page, principal};
use crate::{
    clock,
    credential::{Candidate, Connection, Connections},
    sandbox::Sandboxes,
    store::PageKey,
};

/// ConnectionService over the connections of users.
pub(crate) struct ConnectionRpc {
    connections: Arc<Connections>,
    sandboxes: Sandboxes,
}

impl ConnectionRpc {
    pub(crate) fn new(connections: Arc<Connections>, sandboxes: Sandboxes) -> Self {
        Self {
            connections,
            sandboxes,
        }
    }
}

#[tonic::async_trait]
impl ConnectionService for ConnectionRpc {
    async fn set_connection(
        &self,
        request: Request<v1::SetConnectionRequest>,
    ) -> Result<Response<v1::SetConnectionResponse>, Status> {
        let principal = principal(&request)?;
        let asked = request.into_inner();
        let candidate = Candidate {
            provider: asked.provider,
            api_key: asked.api_key.into(),
            skip_validation: asked.skip_validation,
        };
        let connection = self
            .connections
            .set(&principal, &asked.org_id, &asked.user_id, candidate)
            .await?;
        self.sandboxes.key_was_set();
        Ok(Response::new(v1::SetConnectionResponse {
            connection: Some(on_the_wire(connection)),
        }))
    }

    async fn get_connection(
        &self,
        request: Request<v1::GetConnectionRequest>,
    ) -> Result<Response<v1::GetConnectionResponse>, Status> {
        let principal = principal(&request)?;
        let asked = request.into_inner();
        let connection = self
            .connections
            .get(&principal, &asked.org_id, &asked.user_id, &asked.provider)
            .await?;
        Ok(Response::new(v1::GetConnectionResponse {
            connection: Some(on_the_wire(connection)),
        }))
    }

    async fn list_connections(
        &self,
        request: Request<v1::ListConnectionsRequest>,
    ) -> Result<Response<v1::ListConnectionsResponse>, Status> {
        let principal = principal(&request)?;
        let mut asked = request.into_inner();
        let owner = principal.acting_for(&asked.org_id, &asked.user_id)?;
        let (size, token) = (asked.page_size, std::mem::take(&mut asked.page_token));
        asked.page_size = 0;
        let page = Page::of(&principal, &asked, size, &token)?;
        let after = page.after.as_ref().map_or("", |key| &key.id);
        let mut rows = self.connections.list(&owner, after, page.limit()).await?;
        let next_page_token = page.cut(&mut rows, |row| PageKey {
            time: 0,
            id: row.provider.clone(),
        });
        let connections = rows.into_iter().map(on_the_wire).collect();
        Ok(Response::new(v1::ListConnectionsResponse {
            connections,
            next_page_token,
        }))
    }

    async fn delete_connection(
        &self,
        request: Request<v1::DeleteConnectionRequest>,
    ) -> Result<Response<v1::DeleteConnectionResponse>, Status> {
        let principal = principal(&request)?;
        let asked = request.into_inner();
        let (org_id, user_id) = (&asked.org_id, &asked.user_id);
        let deleted = self
            .connections
            .delete(&principal, org_id, user_id, &asked.provider);
        match deleted.await {
            Err(problem)
                if asked.allow_missing && problem.reason() == Reason::ConnectionNotFound => {}
            done => done?,
        }
        Ok(Response::new(v1::DeleteConnectionResponse::default()))
    }
}

fn on_the_wire(connection: Connection) -> v1::Connection {
    v1::Connection {
        provider: connection.provider,
        org_id: connection.owner.org_id,
        user_id: connection.owner.user_id,
        api_key_set: connection.update_time.is_some(),
        hint: connection.hint,
        update_time: connection.update_time.map(clock::timestamp),
        validate_time: connection.validate_time.map(clock::timestamp),
    }
}
