//! SandboxService, as far as the gateway answers it itself.

use std::{sync::Arc, time::Duration};

use sandgate_proto::{
    Problem,
    v1::{self, SandboxState, sandbox_service_server::SandboxService},
};
use tokio::time::{Instant, timeout_at};
use tonic::{Request, Response, Status};

use super::{page::Page, principal};
use crate::{
    clock,
    facts::Made,
    fleet::Fleet,
    ids::{self, SandboxRef},
    problem::Result as Outcome,
    sandbox::{Created, Sandboxes, describe, wait_time},
    store::{PageKey, SandboxFilter, SandboxRecord, SessionRecord},
    transfer::{Place, Transfers, not_uploaded, uploaded},
};

/// How long a provider may take to say what it can do.
const PATIENCE: Duration = Duration::from_secs(10);

/// SandboxService over the sandboxes and their providers.
pub(crate) struct SandboxRpc {
    sandboxes: Sandboxes,
    transfers: Transfers,
    fleet: Arc<Fleet>,
}

impl SandboxRpc {
    pub(crate) fn new(sandboxes: Sandboxes, transfers: Transfers, fleet: Arc<Fleet>) -> Self {
        Self {
            sandboxes,
            transfers,
            fleet,
        }
    }

    /// What became of the files that a new sandbox begins with; nothing yet where the caller does not
    /// wait for it. The copies go on either way.
    async fn uploads(
        &self,
        created: &Created,
        files: Vec<v1::FileTransfer>,
        place: Option<Place>,
        until: Option<Instant>,
    ) -> Outcome<Vec<v1::FileTransferResult>> {
        let copied = self.copied(created, files.clone(), place, until).await;
        copied.or_else(|problem| not_uploaded(&created.sandbox, &files, problem))
    }

    async fn copied(
        &self,
        created: &Created,
        files: Vec<v1::FileTransfer>,
        place: Option<Place>,
        until: Option<Instant>,
    ) -> Outcome<Vec<v1::FileTransferResult>> {
        let (session, sandbox_id) = (&created.session, created.sandbox.sandbox_id);
        let upload = self.transfers.upload(session, sandbox_id, files, place);
        let Some(seen) = upload.await? else {
            return Ok(Vec::new());
        };
        match until {
            None => uploaded(seen).await,
            Some(until) => timeout_at(until, uploaded(seen))
                .await
                .unwrap_or(Ok(Vec::new())),
        }
    }

    async fn find<T>(
        &self,
        request: &Request<T>,
        session_id: &str,
        sandbox_id: &str,
    ) -> Outcome<(SessionRecord, SandboxRecord)> {
        let principal = principal(request)?;
        let session_id = ids::session_id(session_id)?;
        let wanted = SandboxRef::parse(sandbox_id)?;
        self.sandboxes.find(&principal, session_id, &wanted).await
    }
}

#[tonic::async_trait]
impl SandboxService for SandboxRpc {
    async fn create_sandbox(
        &self,
        request: Request<v1::CreateSandboxRequest>,
    ) -> Result<Response<v1::CreateSandboxResponse>, Status> {
        let principal = principal(&request)?;
        let asked = request.into_inner();
        let wait = wait_time(asked.wait_timeout)?;
        let until = wait.and_then(|wait| Instant::now().checked_add(wait));
        let files = asked.upload_files.clone();
        let place = match files.is_empty() {
            true => None,
            false => self.transfers.place_of(&principal, &asked).await?,
        };
        let created = self.sandboxes.create(&principal, asked).await?;
        let uploads = match files.is_empty() {
            true => Vec::new(),
            false => self.uploads(&created, files, place, until).await?,
        };
        let made = Made {
            sandbox_id: Some(created.sandbox.sandbox_id),
            ..Made::default()
        };
        let answer = v1::CreateSandboxResponse {
            sandbox: Some(describe(&created.sandbox)?),
            uploads,
            replayed: created.replayed,
        };
        Ok(super::made(answer, made))
    }

    async fn get_sandbox(
        &self,
        request: Request<v1::GetSandboxRequest>,
    ) -> Result<Response<v1::GetSandboxResponse>, Status> {
        let asked = request.get_ref();
        let (session, sandbox) = self
            .find(&request, &asked.session_id, &asked.sandbox_id)
            .await?;
        let sandbox = Some(describe(&self.sandboxes.look(&session, sandbox).await?)?);
        Ok(Response::new(v1::GetSandboxResponse { sandbox }))
    }

    async fn list_sandboxes(
        &self,
        request: Request<v1::ListSandboxesRequest>,
    ) -> Result<Response<v1::ListSandboxesResponse>, Status> {
        let principal = principal(&request)?;
        let mut asked = request.into_inner();
        let session_id = ids::optional_uuid("session_id", &asked.session_id)?;
        let owner = principal.acting_for(&asked.org_id, &asked.user_id)?;
        if asked.states.contains(&SandboxState::Unspecified.into()) {
            return Err(Problem::invalid_field("states", "must name real states").into());
        }
        let (size, token) = (asked.page_size, std::mem::take(&mut asked.page_token));
        asked.page_size = 0;
        let page = Page::of(&principal, &asked, size, &token)?;
        let filter = SandboxFilter {
            owner,
            session_id,
            provider: asked.provider,
            states: asked.states,
            labels: asked.labels,
            after: page.after.clone(),
            limit: page.limit(),
        };
        let mut rows = self.sandboxes.list(&principal, filter).await?;
        let next_page_token = page.cut(&mut rows, |row| PageKey {
            time: row.create_time,
            id: row.sandbox_id.to_string(),
        });
        let sandboxes = rows.iter().map(describe).collect::<Outcome<_>>()?;
        Ok(Response::new(v1::ListSandboxesResponse {
            sandboxes,
            next_page_token,
        }))
    }

    async fn start_sandbox(
        &self,
        request: Request<v1::StartSandboxRequest>,
    ) -> Result<Response<v1::StartSandboxResponse>, Status> {
        let asked = request.get_ref();
        let (session, sandbox) = self
            .find(&request, &asked.session_id, &asked.sandbox_id)
            .await?;
        let started = self
            .sandboxes
            .start_within(&session, sandbox, asked.wait_timeout);
        let sandbox = Some(describe(&started.await?)?);
        Ok(Response::new(v1::StartSandboxResponse { sandbox }))
    }

    async fn pause_sandbox(
        &self,
        request: Request<v1::PauseSandboxRequest>,
    ) -> Result<Response<v1::PauseSandboxResponse>, Status> {
        let asked = request.get_ref();
        let (session, sandbox) = self
            .find(&request, &asked.session_id, &asked.sandbox_id)
            .await?;
        let paused = self.sandboxes.pause(&session, sandbox, asked.hibernate);
        let sandbox = Some(describe(&paused.await?)?);
        Ok(Response::new(v1::PauseSandboxResponse { sandbox }))
    }

    async fn resume_sandbox(
        &self,
        request: Request<v1::ResumeSandboxRequest>,
    ) -> Result<Response<v1::ResumeSandboxResponse>, Status> {
        let asked = request.get_ref();
        let (session, sandbox) = self
            .find(&request, &asked.session_id, &asked.sandbox_id)
            .await?;
        let (wait, idle) = (asked.wait_timeout, asked.idle_timeout);
        let resumed = self.sandboxes.resume(&session, sandbox, wait, idle);
        let sandbox = Some(describe(&resumed.await?)?);
        Ok(Response::new(v1::ResumeSandboxResponse { sandbox }))
    }

    async fn renew_sandbox(
        &self,
        request: Request<v1::RenewSandboxRequest>,
    ) -> Result<Response<v1::RenewSandboxResponse>, Status> {
        let asked = request.get_ref();
        if asked.end_executions.is_some() || asked.keep_for.is_some() {
            let message = "is for the gateway itself; leave it empty";
            let field = match asked.keep_for {
                Some(_) => "keep_for",
                None => "end_executions",
            };
            return Err(Problem::invalid_field(field, message).into());
        }
        let (session, sandbox) = self
            .find(&request, &asked.session_id, &asked.sandbox_id)
            .await?;
        let cursor = asked.ended_cursor.clone();
        let renewed = self.sandboxes.renew_lease(&session, sandbox, cursor);
        let (sandbox, renewed) = renewed.await?;
        let mut answer = v1::RenewSandboxResponse::default();
        if let Some(renewed) = renewed {
            answer.running_executions = renewed.running;
            answer.last_activity_time = renewed.last_activity.map(clock::timestamp);
            answer.ended = renewed.ended;
            answer.ended_cursor = renewed.ended_cursor;
            answer.more_ended = renewed.more_ended;
        }
        let mut sandbox = describe(&sandbox)?;
        sandbox.running_executions = answer.running_executions;
        answer.sandbox = Some(sandbox);
        Ok(Response::new(answer))
    }

    async fn stop_sandbox(
        &self,
        request: Request<v1::StopSandboxRequest>,
    ) -> Result<Response<v1::StopSandboxResponse>, Status> {
        let asked = request.get_ref();
        let (session, sandbox) = self
            .find(&request, &asked.session_id, &asked.sandbox_id)
            .await?;
        let stopped = self
            .sandboxes
            .stop(&session, sandbox, asked.grace_timeout)
            .await?;
        let sandbox = Some(describe(&stopped)?);
        Ok(Response::new(v1::StopSandboxResponse { sandbox }))
    }

    async fn delete_sandbox(
        &self,
        request: Request<v1::DeleteSandboxRequest>,
    ) -> Result<Response<v1::DeleteSandboxResponse>, Status> {
        let asked = request.get_ref();
        let (session, sandbox) = self
            .find(&request, &asked.session_id, &asked.sandbox_id)
            .await?;
        let sandbox = Some(describe(&self.sandboxes.delete(&session, sandbox).await?)?);
        Ok(Response::new(v1::DeleteSandboxResponse { sandbox }))
    }

    async fn get_capabilities(
        &self,
        request: Request<v1::GetCapabilitiesRequest>,
    ) -> Result<Response<v1::GetCapabilitiesResponse>, Status> {
        let asked = request.get_ref();
        let lane = if asked.sandbox_id.is_empty() {
            let ids = self.fleet.ids();
            let id = match (asked.provider.as_str(), ids.as_slice()) {
                ("", [only]) => *only,
                ("", several) => {
                    let message = format!("is required here: choose one of {}", several.join(", "));
                    return Err(Problem::invalid_field("provider", message).into());
                }
                (asked, _) => asked,
            };
            self.fleet.provider(id)?.lane("", None)?
        } else {
            let (_, sandbox) = self
                .find(&request, &asked.session_id, &asked.sandbox_id)
                .await?;
            self.fleet
                .provider(&sandbox.provider)?
                .lane(&sandbox.instance_id, None)?
        };
        let capabilities = Some(lane.capabilities(None, PATIENCE).await?);
        Ok(Response::new(v1::GetCapabilitiesResponse { capabilities }))
    }
}
