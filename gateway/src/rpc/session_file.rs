//! SessionFileService.

use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _};
use sandgate_proto::{
    Problem,
    v1::{self, session_file_service_server::SessionFileService},
};
use tonic::{Request, Response, Status, Streaming, codegen::BoxStream};

use super::{
    page::Page,
    principal,
    reader::taken,
    session_file_content::{chunks, received},
    session_file_wire::{self as wire, download_event, upload_event, workspace_event},
};
use crate::{
    file::{Files, normal},
    ids::{self, SandboxRef},
    problem,
    store::{FilePage, PageKey},
    transfer::{Event, Job, Order, Repeat, Transfers, events},
};

/// Levels that a list goes down at most.
const DEEPEST: u32 = 64;

/// SessionFileService over the files of sessions, and the copies between them and sandboxes.
pub(crate) struct SessionFileRpc {
    files: Arc<Files>,
    transfers: Transfers,
}

impl SessionFileRpc {
    pub(crate) fn new(files: Arc<Files>, transfers: Transfers) -> Self {
        Self { files, transfers }
    }

    /// Begins a copy, or joins it; its events.
    async fn copy<T: prost::Message>(
        &self,
        request: &Request<T>,
        (session_id, sandbox_id, request_id): (&str, &str, &str),
        method: &'static str,
        order: Order,
    ) -> Result<BoxStream<Event>, Status> {
        let principal = principal(request)?;
        let session = self
            .files
            .session(&principal, ids::session_id(session_id)?)
            .await?;
        let sandbox = SandboxRef::parse(sandbox_id)?;
        if sandbox == SandboxRef::Default {
            return Err(problem::no_default_sandbox().into());
        }
        let request_id = ids::optional_uuid("request_id", request_id)?;
        let job = Job {
            principal,
            session,
            sandbox,
            order,
            scope: "files.write",
            repeat: request_id.map(|request_id| Repeat {
                request_id,
                method,
                message: request.get_ref().encode_to_vec().into(),
                once: false,
            }),
        };
        let events = events(self.transfers.begin(job).await?);
        Ok(Box::pin(events.map_err(Status::from)))
    }
}

#[tonic::async_trait]
impl SessionFileService for SessionFileRpc {
    async fn read_session_file(
        &self,
        request: Request<v1::ReadSessionFileRequest>,
    ) -> Result<Response<BoxStream<v1::ReadSessionFileResponse>>, Status> {
        let principal = principal(&request)?;
        let asked = request.into_inner();
        let session_id = ids::session_id(&asked.session_id)?;
        self.files.session(&principal, session_id).await?;
        let path = normal("path", &asked.path)?;
        let range = (asked.offset, asked.limit);
        let reading = self.files.open(session_id, &path, range, &asked.if_match);
        let (events, work) = taken(chunks(reading.await?, asked.offset));
        self.files.spawn(work);
        Ok(Response::new(Box::pin(events.map_err(Status::from))))
    }

    async fn write_session_file(
        &self,
        request: Request<Streaming<v1::WriteSessionFileRequest>>,
    ) -> Result<Response<v1::WriteSessionFileResponse>, Status> {
        let principal = principal(&request)?;
        let mut stream = request.into_inner();
        let file = received(&self.files, &principal, &mut stream).await?;
        let info = Some(wire::describe(file));
        Ok(Response::new(v1::WriteSessionFileResponse { info }))
    }

    async fn stat_session_file(
        &self,
        request: Request<v1::StatSessionFileRequest>,
    ) -> Result<Response<v1::StatSessionFileResponse>, Status> {
        let principal = principal(&request)?;
        let asked = request.into_inner();
        let session_id = ids::session_id(&asked.session_id)?;
        self.files.session(&principal, session_id).await?;
        let path = normal("path", &asked.path)?;
        let info = Some(wire::describe(self.files.stat(session_id, &path).await?));
        Ok(Response::new(v1::StatSessionFileResponse { info }))
    }

    async fn list_session_files(
        &self,
        request: Request<v1::ListSessionFilesRequest>,
    ) -> Result<Response<v1::ListSessionFilesResponse>, Status> {
        let principal = principal(&request)?;
        let mut asked = request.into_inner();
        let session_id = ids::session_id(&asked.session_id)?;
        self.files.session(&principal, session_id).await?;
        let (size, token) = (asked.page_size, std::mem::take(&mut asked.page_token));
        asked.page_size = 0;
        let page = Page::of(&principal, &asked, size, &token)?;
        let wanted = FilePage {
            session_id,
            folder: match asked.path.as_str() {
                "" => "/".to_owned(),
                path => normal("path", path)?,
            },
            depth: i64::from(asked.depth.clamp(1, DEEPEST)),
            after: page.after.clone().map(|key| key.id).unwrap_or_default(),
            limit: page.limit(),
        };
        let mut rows = self.files.list(&wanted).await?;
        let next_page_token = page.cut(&mut rows, |row| PageKey {
            time: 0,
            id: row.path.clone(),
        });
        Ok(Response::new(v1::ListSessionFilesResponse {
            entries: rows.into_iter().map(wire::describe).collect(),
            next_page_token,
        }))
    }

    async fn delete_session_file(
        &self,
        request: Request<v1::DeleteSessionFileRequest>,
    ) -> Result<Response<v1::DeleteSessionFileResponse>, Status> {
        let principal = principal(&request)?;
        let asked = request.into_inner();
        let session_id = ids::session_id(&asked.session_id)?;
        self.files.session(&principal, session_id).await?;
        let path = normal("path", &asked.path)?;
        let there = self.files.delete(session_id, &path, asked.recursive);
        if !there.await? && !asked.allow_missing {
            return Err(problem::session_file_not_found(&path).into());
        }
        Ok(Response::new(v1::DeleteSessionFileResponse {}))
    }

    async fn upload_to_sandbox(
        &self,
        request: Request<v1::UploadToSandboxRequest>,
    ) -> Result<Response<BoxStream<v1::UploadToSandboxResponse>>, Status> {
        let asked = request.get_ref();
        let ids = wire::ids(&asked.session_id, &asked.sandbox_id, &asked.request_id);
        let order = Order::In(wire::checked(&asked.files)?);
        let method = "/sandbox.v1.SessionFileService/UploadToSandbox";
        let events = self.copy(&request, ids, method, order).await?;
        Ok(Response::new(Box::pin(events.map_ok(upload_event))))
    }

    async fn download_from_sandbox(
        &self,
        request: Request<v1::DownloadFromSandboxRequest>,
    ) -> Result<Response<BoxStream<v1::DownloadFromSandboxResponse>>, Status> {
        let asked = request.get_ref();
        let ids = wire::ids(&asked.session_id, &asked.sandbox_id, &asked.request_id);
        let order = Order::Out(wire::checked(&asked.files)?);
        let method = "/sandbox.v1.SessionFileService/DownloadFromSandbox";
        let events = self.copy(&request, ids, method, order).await?;
        Ok(Response::new(Box::pin(events.map_ok(download_event))))
    }

    async fn download_workspace(
        &self,
        request: Request<v1::DownloadWorkspaceRequest>,
    ) -> Result<Response<BoxStream<v1::DownloadWorkspaceResponse>>, Status> {
        let asked = request.get_ref();
        let ids = wire::ids(&asked.session_id, &asked.sandbox_id, &asked.request_id);
        if asked.sandbox_path.contains('\0') {
            return Err(Problem::invalid_field("sandbox_path", "may not hold NUL").into());
        }
        let order = Order::Workspace {
            sandbox_path: asked.sandbox_path.clone(),
            session_path: match asked.session_path.as_str() {
                "" => "/workspace".to_owned(),
                path => normal("session_path", path)?,
            },
            excludes: asked.excludes.clone(),
            max_bytes: asked.max_bytes,
        };
        let method = "/sandbox.v1.SessionFileService/DownloadWorkspace";
        let events = self.copy(&request, ids, method, order).await?;
        Ok(Response::new(Box::pin(
            events.map_ok(workspace_event).boxed(),
        )))
    }
}
