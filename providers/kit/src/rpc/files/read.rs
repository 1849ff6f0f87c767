//! Streams what is read: a file in chunks, in order and without holes.

use bytes::Bytes;
use futures::{Stream, stream};
use sandgate_proto::v1::{
    FileChunk, FileEnd, FileInfo, ReadFileRequest, ReadFileResponse, read_file_response::Event,
};
use sandgate_runner_proto::v1::{ReadFile, file_request::Body};
use tonic::Status;

use super::{super::Service, checked_path, unexpected};
use crate::{
    CallContext, Provider, ProviderError,
    files::{self, Answer, Line, Purpose},
};

/// Bytes in one message.
pub(super) const CHUNK: usize = 64 * 1024;

/// A file that is being read.
pub(super) struct Reading<L> {
    line: Line<L>,
    info: Option<FileInfo>,
    offset: u64,
    left: Bytes,
    sent: u64,
    is_over: bool,
}

impl<P: Provider> Service<P> {
    pub(super) async fn read(
        &self,
        context: &CallContext,
        request: ReadFileRequest,
    ) -> Result<Reading<P::Link>, ProviderError> {
        checked_path("path", &request.path)?;
        let mut line = self.line(context, Purpose::Use).await?;
        let offset = request.offset;
        let read = Body::Read(ReadFile {
            path: request.path,
            offset,
            limit: request.limit,
            if_match: request.if_match,
        });
        match line.once(read).await? {
            Answer::Opened(facts) => Ok(Reading {
                line,
                info: Some(files::info(facts)?),
                offset,
                left: Bytes::new(),
                sent: 0,
                is_over: false,
            }),
            _ => Err(unexpected()),
        }
    }
}

impl<L: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static> Reading<L> {
    /// The messages. A stream that stops without an end is an error.
    pub(super) fn stream(
        self,
        provider: &'static str,
        sandbox_id: String,
    ) -> impl Stream<Item = Result<ReadFileResponse, Status>> + Send {
        stream::unfold(self, move |mut reading| {
            let sandbox_id = sandbox_id.clone();
            async move {
                if reading.is_over {
                    return None;
                }
                let event = reading.next().await.map_err(|error| {
                    reading.is_over = true;
                    error.into_problem(provider, &sandbox_id).into()
                });
                let item = event.map(|event| ReadFileResponse { event: Some(event) });
                Some((item, reading))
            }
        })
    }

    async fn next(&mut self) -> Result<Event, ProviderError> {
        if let Some(info) = self.info.take() {
            return Ok(Event::Info(info));
        }
        while self.left.is_empty() {
            match self.line.next().await? {
                Answer::Data(data) => self.left = data,
                Answer::End(end) if end.bytes == self.sent && end.etag.len() <= 256 => {
                    self.is_over = true;
                    return Ok(Event::End(FileEnd {
                        bytes: self.sent,
                        etag: end.etag,
                    }));
                }
                _ => return Err(unexpected()),
            }
        }
        let data = self.left.split_to(self.left.len().min(CHUNK));
        let offset = self.offset;
        self.offset += data.len() as u64;
        self.sent += data.len() as u64;
        Ok(Event::Chunk(FileChunk { offset, data }))
    }
}
