//! SessionService.

use std::sync::Arc;

use futures::TryStreamExt as _;
use sandgate_proto::{
    Reason,
    v1::{self, session_service_server::SessionService},
};
use tonic::{Request, Response, Status, codegen::BoxStream};

use super::{page::Page, principal};
use crate::{
    clock,
    facts::Made,
    ids::{self, SandboxRef},
    sandbox::Sandboxes,
    session::{Removals, Sessions},
    store::{PageKey, SessionFilter},
    watch::Watches,
};

/// SessionService over the sessions, and over what ends with them.
pub(crate) struct SessionRpc {
    sessions: Arc<Sessions>,
    sandboxes: Sandboxes,
    removals: Removals,
    watches: Watches,
}

impl SessionRpc {
    pub(crate) fn new(
        sessions: Arc<Sessions>,
        sandboxes: Sandboxes,
        removals: Removals,
        watches: Watches,
    ) -> Self {
        Self {
            sessions,
            sandboxes,
            removals,
            watches,
        }
    }
}

#[tonic::async_trait]
impl SessionService for SessionRpc {
    async fn create_session(
        &self,
        request: Request<v1::CreateSessionRequest>,
    ) -> Result<Response<v1::CreateSessionResponse>, Status> {
        let principal = principal(&request)?;
        let (session, replayed) = self
            .sessions
            .create(&principal, request.into_inner())
            .await?;
        let made = Made {
            session_id: Some(session.session_id),
            ..Made::default()
        };
        let session = Some(self.sessions.view(session).await?);
        let answer = v1::CreateSessionResponse { session, replayed };
        Ok(super::made(answer, made))
    }

    async fn get_session(
        &self,
        request: Request<v1::GetSessionRequest>,
    ) -> Result<Response<v1::GetSessionResponse>, Status> {
        let principal = principal(&request)?;
        let session_id = ids::session_id(&request.get_ref().session_id)?;
        let session = self.sessions.get(&principal, session_id).await?;
        let session = Some(self.sessions.view(session).await?);
        Ok(Response::new(v1::GetSessionResponse { session }))
    }

    async fn list_sessions(
        &self,
        request: Request<v1::ListSessionsRequest>,
    ) -> Result<Response<v1::ListSessionsResponse>, Status> {
        let principal = principal(&request)?;
        let mut asked = request.into_inner();
        let owner = principal.acting_for(&asked.org_id, &asked.user_id)?;
        let (size, token) = (asked.page_size, std::mem::take(&mut asked.page_token));
        asked.page_size = 0;
        let page = Page::of(&principal, &asked, size, &token)?;
        let filter = SessionFilter {
            owner,
            now: clock::now(),
            agent_id: asked.agent_id,
            harness_id: asked.harness_id,
            labels: asked.labels,
            after: page.after.clone(),
            limit: page.limit(),
        };
        let mut rows = self.sessions.list(filter).await?;
        let next_page_token = page.cut(&mut rows, |row| PageKey {
            time: row.create_time,
            id: row.session_id.to_string(),
        });
        let sessions = self.sessions.views(&rows).await?;
        Ok(Response::new(v1::ListSessionsResponse {
            sessions,
            next_page_token,
        }))
    }

    async fn update_session(
        &self,
        request: Request<v1::UpdateSessionRequest>,
    ) -> Result<Response<v1::UpdateSessionResponse>, Status> {
        let principal = principal(&request)?;
        let session = self
            .sessions
            .update(&principal, request.into_inner())
            .await?;
        self.sandboxes.forget_session(session.session_id);
        let session = Some(self.sessions.view(session).await?);
        Ok(Response::new(v1::UpdateSessionResponse { session }))
    }

    async fn delete_session(
        &self,
        request: Request<v1::DeleteSessionRequest>,
    ) -> Result<Response<v1::DeleteSessionResponse>, Status> {
        let principal = principal(&request)?;
        let asked = request.into_inner();
        let session_id = ids::session_id(&asked.session_id)?;
        let pending = match self.removals.delete(&principal, session_id).await {
            Err(problem) if asked.allow_missing && problem.reason() == Reason::SessionNotFound => {
                Vec::new()
            }
            pending => pending?,
        };
        Ok(Response::new(v1::DeleteSessionResponse {
            pending_sandbox_ids: pending.iter().map(ToString::to_string).collect(),
        }))
    }

    async fn watch_session(
        &self,
        request: Request<v1::WatchSessionRequest>,
    ) -> Result<Response<BoxStream<v1::WatchSessionResponse>>, Status> {
        let principal = principal(&request)?;
        let asked = request.into_inner();
        let session_id = ids::session_id(&asked.session_id)?;
        let sandbox = SandboxRef::parse(&asked.sandbox_id)?;
        let events = self
            .watches
            .subscribe(&principal, session_id, &sandbox, &asked.cursor)
            .await?;
        Ok(Response::new(Box::pin(events.map_err(Status::from))))
    }
}
