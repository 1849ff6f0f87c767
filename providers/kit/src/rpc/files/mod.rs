//! `FileService`: each call is one piece of work in the sandbox.

mod archive;
mod page;
mod read;
mod upload;

use sandgate_proto::{
    Outcome,
    v1::{self, file_service_server::FileService},
};
use sandgate_runner_proto::v1::{
    ListFiles, MakeFolder, MoveFile, RemoveFile, StatFile, file_request::Body,
};
use tonic::{Request, Response, Status, Streaming, codegen::BoxStream};

use self::page::Page;
use super::{Service, context};
use crate::{
    CallContext, Kind, Provider, ProviderError,
    files::{self, Answer, Line, Purpose},
};

/// Longest path, in bytes.
const PATH: usize = 4096;

#[tonic::async_trait]
impl<P: Provider> FileService for Service<P> {
    async fn read_file(
        &self,
        request: Request<v1::ReadFileRequest>,
    ) -> Result<Response<BoxStream<v1::ReadFileResponse>>, Status> {
        let body = request.get_ref();
        let context = context(&request, &body.session_id, &body.sandbox_id)?;
        let opened = self.read(&context, request.into_inner()).await;
        let reading = opened.map_err(|error| self.problem(error, &context.sandbox_id))?;
        let (provider, sandbox_id) = (self.provider.id(), context.sandbox_id);
        Ok(Response::new(Box::pin(
            reading.stream(provider, sandbox_id),
        )))
    }

    async fn write_file(
        &self,
        request: Request<Streaming<v1::WriteFileRequest>>,
    ) -> Result<Response<v1::WriteFileResponse>, Status> {
        let (metadata, _, mut stream) = request.into_parts();
        let first = upload::first(&mut stream).await?;
        let context = CallContext::of_sandbox(&metadata, &first.session_id, &first.sandbox_id)?;
        let written = self.write(&context, first, stream).await;
        let written = written.map_err(|failure| failure.status(self, &context.sandbox_id))?;
        Ok(Response::new(written))
    }

    async fn stat_file(
        &self,
        request: Request<v1::StatFileRequest>,
    ) -> Result<Response<v1::StatFileResponse>, Status> {
        let body = request.get_ref();
        let context = context(&request, &body.session_id, &body.sandbox_id)?;
        let path = body.path.clone();
        let stat = |path| Body::Stat(StatFile { path });
        let info = self.facts((&context, Purpose::Look), path, stat);
        let info = Some(
            info.await
                .map_err(|error| self.problem(error, &context.sandbox_id))?,
        );
        Ok(Response::new(v1::StatFileResponse { info }))
    }

    async fn list_directory(
        &self,
        request: Request<v1::ListDirectoryRequest>,
    ) -> Result<Response<v1::ListDirectoryResponse>, Status> {
        let body = request.get_ref();
        let context = context(&request, &body.session_id, &body.sandbox_id)?;
        let page = self.page_of_files(&context, body).await;
        let page = page.map_err(|error| self.problem(error, &context.sandbox_id))?;
        Ok(Response::new(page))
    }

    async fn make_directory(
        &self,
        request: Request<v1::MakeDirectoryRequest>,
    ) -> Result<Response<v1::MakeDirectoryResponse>, Status> {
        let body = request.get_ref();
        let context = context(&request, &body.session_id, &body.sandbox_id)?;
        let (parents, mode) = (body.parents, body.mode);
        let failed = |error: ProviderError| self.problem(error, &context.sandbox_id);
        checked_mode(mode).map_err(failed)?;
        let make = |path| {
            Body::MakeFolder(MakeFolder {
                path,
                parents,
                mode,
            })
        };
        let info = self
            .facts((&context, Purpose::Use), body.path.clone(), make)
            .await;
        let info = Some(info.map_err(failed)?);
        Ok(Response::new(v1::MakeDirectoryResponse { info }))
    }

    async fn remove_file(
        &self,
        request: Request<v1::RemoveFileRequest>,
    ) -> Result<Response<v1::RemoveFileResponse>, Status> {
        let body = request.get_ref();
        let context = context(&request, &body.session_id, &body.sandbox_id)?;
        let removed = self.remove(&context, body).await;
        removed.map_err(|error| self.problem(error, &context.sandbox_id))?;
        Ok(Response::new(v1::RemoveFileResponse {}))
    }

    async fn move_file(
        &self,
        request: Request<v1::MoveFileRequest>,
    ) -> Result<Response<v1::MoveFileResponse>, Status> {
        let body = request.get_ref();
        let context = context(&request, &body.session_id, &body.sandbox_id)?;
        let (new_path, replace) = (body.new_path.clone(), body.replace);
        let failed = |error: ProviderError| self.problem(error, &context.sandbox_id);
        checked_path("new_path", &new_path).map_err(failed)?;
        let rename = |path| {
            Body::Move(MoveFile {
                path,
                new_path,
                replace,
            })
        };
        let info = self
            .facts((&context, Purpose::Use), body.path.clone(), rename)
            .await;
        let info = Some(info.map_err(failed)?);
        Ok(Response::new(v1::MoveFileResponse { info }))
    }

    async fn download_archive(
        &self,
        request: Request<v1::DownloadArchiveRequest>,
    ) -> Result<Response<BoxStream<v1::DownloadArchiveResponse>>, Status> {
        let body = request.get_ref();
        let context = context(&request, &body.session_id, &body.sandbox_id)?;
        let packing = self.pack(&context, request.into_inner()).await;
        let packing = packing.map_err(|error| self.problem(error, &context.sandbox_id))?;
        let (provider, sandbox_id) = (self.provider.id(), context.sandbox_id);
        Ok(Response::new(Box::pin(
            packing.stream(provider, sandbox_id),
        )))
    }

    async fn upload_archive(
        &self,
        request: Request<Streaming<v1::UploadArchiveRequest>>,
    ) -> Result<Response<v1::UploadArchiveResponse>, Status> {
        let (metadata, _, mut stream) = request.into_parts();
        let first = upload::first(&mut stream).await?;
        let context = CallContext::of_sandbox(&metadata, &first.session_id, &first.sandbox_id)?;
        let unpacked = self.unpack(&context, first, stream).await;
        let unpacked = unpacked.map_err(|failure| failure.status(self, &context.sandbox_id))?;
        Ok(Response::new(unpacked))
    }
}

impl<P: Provider> Service<P> {
    /// A way to the files of a sandbox.
    async fn line(
        &self,
        context: &CallContext,
        purpose: Purpose,
    ) -> Result<Line<P::Link>, ProviderError> {
        files::open(&self.provider, &self.rooms, context, purpose).await
    }

    /// Work that is answered with facts about a name.
    async fn facts(
        &self,
        (context, purpose): (&CallContext, Purpose),
        path: String,
        work: impl FnOnce(String) -> Body,
    ) -> Result<v1::FileInfo, ProviderError> {
        checked_path("path", &path)?;
        let mut line = self.line(context, purpose).await?;
        match line.once(work(path)).await? {
            Answer::Info(facts) => files::info(facts),
            _ => Err(unexpected()),
        }
    }

    async fn remove(
        &self,
        context: &CallContext,
        body: &v1::RemoveFileRequest,
    ) -> Result<(), ProviderError> {
        checked_path("path", &body.path)?;
        let mut line = self.line(context, Purpose::Use).await?;
        let remove = Body::Remove(RemoveFile {
            path: body.path.clone(),
            recursive: body.recursive,
            allow_missing: body.allow_missing,
        });
        match line.once(remove).await? {
            Answer::End(_) => Ok(()),
            _ => Err(unexpected()),
        }
    }

    async fn page_of_files(
        &self,
        context: &CallContext,
        body: &v1::ListDirectoryRequest,
    ) -> Result<v1::ListDirectoryResponse, ProviderError> {
        if !body.path.is_empty() {
            checked_path("path", &body.path)?;
        }
        let mut page = Page::of(context, body)?;
        let mut line = self.line(context, Purpose::Look).await?;
        let asked = Body::List(ListFiles {
            path: if body.path.is_empty() {
                "."
            } else {
                &body.path
            }
            .to_owned(),
            depth: body.depth.clamp(1, 64),
            after: page.after(),
            limit: page.size(),
        });
        line.ask(asked).await?;
        loop {
            let Answer::Entries(found) = line.next().await? else {
                return Err(unexpected());
            };
            let (more, last) = (found.more, found.last);
            let is_full = page.add(files::entries(found)?);
            if last || is_full {
                return Ok(page.finish(more || is_full));
            }
        }
    }
}

/// Refuses what is no path, before anybody is asked.
pub(super) fn checked_path(field: &'static str, path: &str) -> Result<(), ProviderError> {
    if path.is_empty() || path.len() > PATH || path.contains('\0') {
        let message = "has 1 to 4,096 bytes, none of them NUL";
        return Err(ProviderError::new(Kind::InvalidField(field), message));
    }
    Ok(())
}

pub(super) fn checked_mode(mode: Option<u32>) -> Result<(), ProviderError> {
    match mode {
        Some(0o10000..) => Err(ProviderError::new(
            Kind::InvalidField("mode"),
            "has the twelve permission bits alone: at most 07777, which is 4095",
        )),
        _ => Ok(()),
    }
}

pub(super) fn unexpected() -> ProviderError {
    ProviderError::new(
        Kind::Unavailable(Outcome::Ambiguous),
        "the runner in the sandbox answers something else than it was asked; repeat the call",
    )
}
