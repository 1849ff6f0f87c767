//! The calls of `FileService` about a sandbox.

use futures::stream;
use sandgate_proto::v1::{
    self, ArchiveSummary, FileInfo, download_archive_response::Event as ArchiveEvent,
    read_file_response::Event as ReadEvent,
};
use tokio::time::timeout;
use tonic::{Status, Streaming};

use super::{Place, QUICK};
use crate::failure::{Failure, broken, ensure, same};

/// Bytes in a message of a stream.
const PART: usize = 100_000;
/// Most in one that comes.
const CHUNK: usize = 64 * 1024;

/// What a `ReadFile` gave.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) info: FileInfo,
    pub(crate) bytes: Vec<u8>,
}

/// A plain write.
pub(crate) fn writing(path: &str) -> v1::WriteFileOpen {
    v1::WriteFileOpen {
        path: path.to_owned(),
        ..Default::default()
    }
}

/// A whole file.
pub(crate) fn reading(path: &str) -> v1::ReadFileRequest {
    v1::ReadFileRequest {
        path: path.to_owned(),
        ..Default::default()
    }
}

impl Place<'_> {
    /// `WriteFile`.
    pub(crate) async fn write_file(
        &self,
        open: v1::WriteFileOpen,
        bytes: &[u8],
    ) -> Result<v1::WriteFileResponse, Failure> {
        let mut messages = vec![self.first_write(open)];
        messages.extend(bytes.chunks(PART).map(|part| v1::WriteFileRequest {
            data: part.to_vec().into(),
            ..Default::default()
        }));
        let mut client = self.subject.files();
        let call = |request| async move { client.write_file(request).await };
        self.unary("WriteFile", QUICK * 2, stream::iter(messages), call)
            .await
    }

    /// The first message of a write.
    pub(crate) fn first_write(&self, open: v1::WriteFileOpen) -> v1::WriteFileRequest {
        let mut first = v1::WriteFileRequest {
            open: Some(open),
            ..Default::default()
        };
        self.fill(&mut first.session_id, &mut first.sandbox_id);
        first
    }

    /// Begins a write of these bytes, and goes away before its end.
    pub(crate) async fn write_and_leave(&self, open: v1::WriteFileOpen, bytes: &[u8]) {
        use futures::StreamExt as _;
        let mut first = self.first_write(open);
        first.data = bytes.to_vec().into();
        let messages = stream::iter([first]).chain(stream::pending());
        let mut client = self.subject.files();
        let call = |request| async move { client.write_file(request).await };
        let call = self.unary("WriteFile", QUICK, messages, call);
        // It cannot answer: its request never ends.
        let _ = timeout(std::time::Duration::from_millis(1500), call).await;
    }

    /// `ReadFile` to its end, with its order and offsets checked.
    pub(crate) async fn read_file(
        &self,
        mut request: v1::ReadFileRequest,
    ) -> Result<Content, Failure> {
        self.fill(&mut request.session_id, &mut request.sandbox_id);
        let rpc = "ReadFile";
        let offset = request.offset;
        let mut client = self.subject.files();
        let call = |request| async move { client.read_file(request).await };
        let stream = self.subject.streaming(rpc, &self.id, request, call).await?;
        let (mut info, mut bytes, mut end) = (None, Vec::new(), None);
        for message in all(rpc, stream).await? {
            ensure(end.is_none(), || "something comes after end")?;
            match message.event {
                Some(ReadEvent::Info(first)) => {
                    ensure(info.replace(first).is_none(), || "info comes twice")?;
                }
                Some(ReadEvent::Chunk(chunk)) => {
                    ensure(info.is_some(), || "a chunk comes before info")?;
                    ensure((1..=CHUNK).contains(&chunk.data.len()), || {
                        format!("a chunk has {} bytes", chunk.data.len())
                    })?;
                    same("offset", chunk.offset, offset + bytes.len() as u64)?;
                    bytes.extend_from_slice(&chunk.data);
                }
                Some(ReadEvent::End(last)) => end = Some(last),
                None => return Err(broken("a message of ReadFile without an event")),
            }
        }
        let end = end.ok_or_else(|| broken("ReadFile ended well without end"))?;
        same("bytes of end", end.bytes, bytes.len() as u64)?;
        let info = info.ok_or_else(|| broken("ReadFile came without info"))?;
        Ok(Content { info, bytes })
    }

    /// `StatFile`.
    pub(crate) async fn stat(&self, path: &str) -> Result<FileInfo, Failure> {
        let mut request = v1::StatFileRequest {
            path: path.to_owned(),
            ..Default::default()
        };
        self.fill(&mut request.session_id, &mut request.sandbox_id);
        let mut client = self.subject.files();
        let call = |request| async move { client.stat_file(request).await };
        let answer = self.unary("StatFile", QUICK, request, call).await?;
        file("StatFile", answer.info)
    }

    /// `ListDirectory`, one page.
    pub(crate) async fn list(
        &self,
        mut request: v1::ListDirectoryRequest,
    ) -> Result<v1::ListDirectoryResponse, Failure> {
        self.fill(&mut request.session_id, &mut request.sandbox_id);
        let mut client = self.subject.files();
        let call = |request| async move { client.list_directory(request).await };
        self.unary("ListDirectory", QUICK, request, call).await
    }

    /// Names in a directory of few.
    pub(crate) async fn names(&self, path: &str) -> Result<Vec<String>, Failure> {
        let request = v1::ListDirectoryRequest {
            path: path.to_owned(),
            page_size: 1000,
            ..Default::default()
        };
        let page = self.list(request).await?;
        Ok(page.entries.into_iter().map(|one| one.name).collect())
    }

    /// `MakeDirectory`.
    pub(crate) async fn make_directory(
        &self,
        path: &str,
        parents: bool,
    ) -> Result<FileInfo, Failure> {
        let mut request = v1::MakeDirectoryRequest {
            path: path.to_owned(),
            parents,
            ..Default::default()
        };
        self.fill(&mut request.session_id, &mut request.sandbox_id);
        let mut client = self.subject.files();
        let call = |request| async move { client.make_directory(request).await };
        let answer = self.unary("MakeDirectory", QUICK, request, call).await?;
        file("MakeDirectory", answer.info)
    }

    /// `MoveFile`.
    pub(crate) async fn move_file(
        &self,
        (path, new_path): (&str, &str),
        replace: bool,
    ) -> Result<FileInfo, Failure> {
        let mut request = v1::MoveFileRequest {
            path: path.to_owned(),
            new_path: new_path.to_owned(),
            replace,
            ..Default::default()
        };
        self.fill(&mut request.session_id, &mut request.sandbox_id);
        let mut client = self.subject.files();
        let call = |request| async move { client.move_file(request).await };
        let answer = self.unary("MoveFile", QUICK, request, call).await?;
        file("MoveFile", answer.info)
    }

    /// `RemoveFile`.
    pub(crate) async fn remove(
        &self,
        path: &str,
        (recursive, allow_missing): (bool, bool),
    ) -> Result<(), Failure> {
        let mut request = v1::RemoveFileRequest {
            path: path.to_owned(),
            recursive,
            allow_missing,
            ..Default::default()
        };
        self.fill(&mut request.session_id, &mut request.sandbox_id);
        let mut client = self.subject.files();
        let call = |request| async move { client.remove_file(request).await };
        self.unary("RemoveFile", QUICK, request, call)
            .await
            .map(drop)
    }

    /// `DownloadArchive` to its end.
    pub(crate) async fn download(
        &self,
        mut request: v1::DownloadArchiveRequest,
    ) -> Result<(Vec<u8>, ArchiveSummary), Failure> {
        self.fill(&mut request.session_id, &mut request.sandbox_id);
        let rpc = "DownloadArchive";
        let mut client = self.subject.files();
        let call = |request| async move { client.download_archive(request).await };
        let stream = self.subject.streaming(rpc, &self.id, request, call).await?;
        let (mut bytes, mut summary) = (Vec::new(), None);
        for message in all(rpc, stream).await? {
            ensure(summary.is_none(), || "something comes after the summary")?;
            match message.event {
                Some(ArchiveEvent::Data(data)) => {
                    ensure((1..=CHUNK).contains(&data.len()), || {
                        format!("a message has {} bytes", data.len())
                    })?;
                    bytes.extend_from_slice(&data);
                }
                Some(ArchiveEvent::Summary(last)) => summary = Some(last),
                None => return Err(broken("a message of DownloadArchive without an event")),
            }
        }
        let summary = summary.ok_or_else(|| broken("DownloadArchive ended without a summary"))?;
        Ok((bytes, summary))
    }

    /// `UploadArchive`.
    pub(crate) async fn upload(
        &self,
        path: &str,
        archive: &[u8],
    ) -> Result<ArchiveSummary, Failure> {
        let mut first = v1::UploadArchiveRequest {
            open: Some(v1::UploadArchiveOpen {
                path: path.to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        };
        self.fill(&mut first.session_id, &mut first.sandbox_id);
        let mut messages = vec![first];
        messages.extend(archive.chunks(PART).map(|part| v1::UploadArchiveRequest {
            data: part.to_vec().into(),
            ..Default::default()
        }));
        let mut client = self.subject.files();
        let call = |request| async move { client.upload_archive(request).await };
        let answer = self
            .unary("UploadArchive", QUICK * 2, stream::iter(messages), call)
            .await?;
        let none = || broken("UploadArchive answered without a summary");
        answer.summary.ok_or_else(none)
    }
}

/// All messages of a stream that ends well.
async fn all<T>(rpc: &'static str, mut stream: Streaming<T>) -> Result<Vec<T>, Failure> {
    let limit = QUICK * 2;
    let read = async {
        let mut messages = Vec::new();
        while let Some(message) = stream.message().await? {
            messages.push(message);
        }
        Ok::<_, Status>(messages)
    };
    match timeout(limit, read).await {
        Err(_) => Err(Failure::Late { rpc, limit }),
        Ok(Ok(messages)) => Ok(messages),
        Ok(Err(status)) => {
            let status = Box::new(status);
            Err(Failure::Call { rpc, status })
        }
    }
}

/// The file of an answer.
fn file(rpc: &str, seen: Option<FileInfo>) -> Result<FileInfo, Failure> {
    seen.ok_or_else(|| broken(format!("{rpc} answered without info")))
}
