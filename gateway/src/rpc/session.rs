//! SessionService.

use std::sync::Arc;

use futures::{StreamExt as _, stream};
use sandgate_proto::{
    Reason,
    v1::{self, session_service_server::SessionService},
};
use tonic::{Request, Response, Status};

use super::{page::Page, principal};
use crate::{
    ids,
    problem::Result as Outcome,
    sandbox::Sandboxes,
    session::{self, Sessions},
    store::{PageKey, SessionFilter, SessionRecord},
};

/// Sandboxes of one session that are deleted at the same time.
const DELETES: usize = 8;

/// SessionService over the sessions, and over the sandboxes that go with them.
pub(crate) struct SessionRpc {
    sessions: Arc<Sessions>,
    sandboxes: Sandboxes,
}

impl SessionRpc {
    pub(crate) fn new(sessions: Arc<Sessions>, sandboxes: Sandboxes) -> Self {
        Self {
            sessions,
            sandboxes,
        }
    }

    /// Deletes all sandboxes of a session; those that could not be are named.
    async fn delete_sandboxes(&self, session: &SessionRecord) -> Outcome<Vec<String>> {
        let rows = self.sandboxes.of_session(session).await?;
        let results = stream::iter(rows).map(|sandbox| async move {
            let sandbox_id = sandbox.sandbox_id.to_string();
            match self.sandboxes.delete(session, sandbox).await {
                Ok(_) => None,
                Err(problem) => {
                    tracing::warn!(sandbox_id, %problem, "sandbox of a deleted session is not gone yet");
                    Some(sandbox_id)
                }
            }
        });
        Ok(results
            .buffer_unordered(DELETES)
            .filter_map(|pending| async { pending })
            .collect()
            .await)
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
        let session = Some(session::describe(&session)?);
        Ok(Response::new(v1::CreateSessionResponse {
            session,
            replayed,
        }))
    }

    async fn get_session(
        &self,
        request: Request<v1::GetSessionRequest>,
    ) -> Result<Response<v1::GetSessionResponse>, Status> {
        let principal = principal(&request)?;
        let session_id = ids::session_id(&request.get_ref().session_id)?;
        let session = self.sessions.get(&principal, session_id).await?;
        let session = Some(session::describe(&session)?);
        Ok(Response::new(v1::GetSessionResponse { session }))
    }

    async fn list_sessions(
        &self,
        request: Request<v1::ListSessionsRequest>,
    ) -> Result<Response<v1::ListSessionsResponse>, Status> {
        let principal = principal(&request)?;
        let mut asked = request.into_inner();
        session::only_own(&principal, &asked.org_id, &asked.user_id)?;
        let (size, token) = (asked.page_size, std::mem::take(&mut asked.page_token));
        asked.page_size = 0;
        let page = Page::of(&principal, &asked, size, &token)?;
        let filter = SessionFilter {
            owner: Default::default(),
            agent_id: asked.agent_id,
            harness_id: asked.harness_id,
            labels: asked.labels,
            after: page.after,
            limit: page.limit(),
        };
        let mut rows = self.sessions.list(&principal, filter).await?;
        let next_page_token = page.cut(&mut rows, |row| PageKey {
            create_time: row.create_time,
            id: row.session_id,
        });
        let sessions = rows.iter().map(session::describe).collect::<Outcome<_>>()?;
        Ok(Response::new(v1::ListSessionsResponse {
            sessions,
            next_page_token,
        }))
    }

    async fn delete_session(
        &self,
        request: Request<v1::DeleteSessionRequest>,
    ) -> Result<Response<v1::DeleteSessionResponse>, Status> {
        let principal = principal(&request)?;
        let asked = request.into_inner();
        let session_id = ids::session_id(&asked.session_id)?;
        ids::optional_uuid("request_id", &asked.request_id)?;
        let session = match self.sessions.get(&principal, session_id).await {
            Err(problem) if asked.allow_missing && problem.reason() == Reason::SessionNotFound => {
                return Ok(Response::new(v1::DeleteSessionResponse::default()));
            }
            found => found?,
        };
        self.sessions.delete(&session).await?;
        let pending_sandbox_ids = self.delete_sandboxes(&session).await?;
        Ok(Response::new(v1::DeleteSessionResponse {
            pending_sandbox_ids,
        }))
    }
}
