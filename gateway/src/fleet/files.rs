//! The calls about files of a sandbox that the gateway itself makes to a provider.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};
use sandgate_proto::{
    Outcome,
    v1::{
        ArchiveSummary, DownloadArchiveRequest, DownloadArchiveResponse, FileInfo, ReadFileRequest,
        ReadFileResponse, WriteFileOpen, WriteFileRequest, WriteFileResponse,
        download_archive_response, file_service_client::FileServiceClient, read_file_response,
    },
};
use sandgate_service::Wire;
use tokio::time::{sleep, timeout};
use tonic::Streaming;

use super::{Context, Lane};
use crate::problem::{self, Result};

/// How long a provider may be silent in the middle of a file or an archive.
const SILENCE: Duration = Duration::from_secs(120);
/// Bytes in one message.
const MESSAGE: usize = 256 << 10;

/// How many bytes have moved. Clones count together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Moved {
    ever: Arc<AtomicU64>,
    /// Those that do not belong to what is copied now.
    before: Arc<AtomicU64>,
}

impl Moved {
    /// So many more.
    pub(crate) fn add(&self, bytes: usize) {
        self.ever.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Another file begins, or the same once more: what moved for the last one counts elsewhere, or
    /// was in vain.
    pub(crate) fn begin(&self) {
        self.before.store(self.ever(), Ordering::Relaxed);
    }

    /// Bytes of what is copied now.
    pub(crate) fn bytes(&self) -> u64 {
        let before = self.before.load(Ordering::Relaxed);
        self.ever().saturating_sub(before)
    }

    fn ever(&self) -> u64 {
        self.ever.load(Ordering::Relaxed)
    }
}

/// A file of a sandbox that is being read.
pub(crate) struct Incoming {
    lane: Lane,
    stream: Streaming<ReadFileResponse>,
    /// What it was when it was opened.
    pub(crate) info: FileInfo,
    bytes: u64,
}

/// An archive that is being read.
pub(crate) struct Archive {
    lane: Lane,
    stream: Streaming<DownloadArchiveResponse>,
}

/// The next of an archive.
pub(crate) enum Piece {
    Data(Bytes),
    /// The last.
    Summary(ArchiveSummary),
}

impl Lane {
    /// Opens a file of the sandbox.
    pub(crate) async fn read_file(&self, context: &Context, path: &str) -> Result<Incoming> {
        let body = ReadFileRequest {
            path: path.to_owned(),
            ..Default::default()
        };
        let request = self.addressed(body, Some(context));
        let mut stream = self.answered(self.files().read_file(request)).await?;
        match self
            .message(&mut stream)
            .await?
            .and_then(|first| first.event)
        {
            Some(read_file_response::Event::Info(info)) => Ok(Incoming {
                lane: self.clone(),
                stream,
                info,
                bytes: 0,
            }),
            _ => Err(self.malformed("a file without its facts")),
        }
    }

    /// Writes a file of the sandbox. Where less comes than `open` expects, nothing is written.
    pub(crate) async fn write_file(
        &self,
        context: &Context,
        open: WriteFileOpen,
        content: impl Stream<Item = Bytes> + Send + 'static,
        moved: Moved,
    ) -> Result<WriteFileResponse> {
        let first = WriteFileRequest {
            open: Some(open),
            ..Default::default()
        };
        let counted = moved.clone();
        let rest = content
            .flat_map(|data| stream::iter(cut(data)))
            .map(move |data| {
                counted.add(data.len());
                WriteFileRequest {
                    data,
                    ..Default::default()
                }
            });
        let request = self.addressed(stream::iter([first]).chain(rest), Some(context));
        let mut files = self.files();
        let call = files.write_file(request);
        tokio::select! {
            written = call => match written {
                Ok(written) => Ok(written.into_inner()),
                Err(status) => Err(self.problem(&status)),
            },
            () = standstill(&moved) => Err(self.silent()),
        }
    }

    /// Opens a plain archive of what is in the sandbox.
    pub(crate) async fn download_archive(
        &self,
        context: &Context,
        body: DownloadArchiveRequest,
    ) -> Result<Archive> {
        let request = self.addressed(body, Some(context));
        let stream = self
            .answered(self.files().download_archive(request))
            .await?;
        Ok(Archive {
            lane: self.clone(),
            stream,
        })
    }

    fn files(&self) -> FileServiceClient<Wire> {
        FileServiceClient::new(self.wire.clone())
    }

    /// The head of an answer.
    async fn answered<T>(
        &self,
        call: impl Future<Output = std::result::Result<tonic::Response<T>, tonic::Status>>,
    ) -> Result<T> {
        match timeout(SILENCE, call).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(self.problem(&status)),
            Err(_) => Err(self.silent()),
        }
    }

    /// The next message of an answer; none at its end.
    async fn message<T>(&self, stream: &mut Streaming<T>) -> Result<Option<T>> {
        match timeout(SILENCE, stream.message()).await {
            Ok(Ok(message)) => Ok(message),
            Ok(Err(status)) => Err(self.problem(&status)),
            Err(_) => Err(self.silent()),
        }
    }

    fn silent(&self) -> sandgate_proto::Problem {
        problem::provider_unavailable(&self.provider, Outcome::Ambiguous)
    }

    fn malformed(&self, what: &str) -> sandgate_proto::Problem {
        problem::internal("provider answer", &format!("{}: {what}", self.provider))
    }
}

impl Incoming {
    /// The next bytes; none at the end, when all came.
    ///
    /// # Errors
    /// Also where the stream ends too early, or the file has changed meanwhile: `ETAG_MISMATCH`.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>> {
        let Some(message) = self.lane.message(&mut self.stream).await? else {
            return Err(self.lane.silent());
        };
        match message.event {
            Some(read_file_response::Event::Chunk(chunk)) if chunk.offset == self.bytes => {
                self.bytes += chunk.data.len() as u64;
                Ok(Some(chunk.data))
            }
            Some(read_file_response::Event::End(end)) if end.bytes == self.bytes => {
                match end.etag == self.info.etag {
                    true => Ok(None),
                    false => Err(problem::changed_while_copied()),
                }
            }
            _ => Err(self.lane.malformed("bytes of a file out of order")),
        }
    }
}

impl Archive {
    /// What comes next. An archive that stops without a summary is an error.
    pub(crate) async fn next(&mut self) -> Result<Piece> {
        let Some(message) = self.lane.message(&mut self.stream).await? else {
            return Err(self.lane.silent());
        };
        match message.event {
            Some(download_archive_response::Event::Data(data)) => Ok(Piece::Data(data)),
            Some(download_archive_response::Event::Summary(summary)) => Ok(Piece::Summary(summary)),
            None => Err(self.lane.malformed("an empty message")),
        }
    }
}

/// Resolves when nothing has moved for long.
async fn standstill(moved: &Moved) {
    loop {
        let before = moved.ever();
        sleep(SILENCE).await;
        if moved.ever() == before {
            return;
        }
    }
}

/// Data as messages.
fn cut(mut data: Bytes) -> Vec<Bytes> {
    let mut messages = Vec::new();
    while !data.is_empty() {
        messages.push(data.split_to(data.len().min(MESSAGE)));
    }
    messages
}
