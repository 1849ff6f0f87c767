//! Calls that take a stream: the first message says what to do, each carries bytes.

use bytes::Bytes;
use sandgate_proto::{
    Problem,
    v1::{
        Compression, Disposition, UploadArchiveRequest, UploadArchiveResponse, WriteFileRequest,
        WriteFileResponse,
    },
};
use sandgate_runner_proto::v1::{Unpack, WriteFile, file_request::Body};
use tonic::{Status, Streaming};

use super::{super::Service, checked_mode, checked_path, unexpected};
use crate::{
    CallContext, Kind, Provider, ProviderError,
    files::{self, Answer, Purpose},
};

/// Bytes of a digest.
const SHA256: usize = 32;
/// Longest etag.
const ETAG: usize = 256;

/// Why a stream was not taken.
pub(super) enum Failure {
    /// Its caller has gone, or sends what is no message.
    Caller(Status),
    Error(ProviderError),
}

impl Failure {
    pub(super) fn status<P: Provider>(self, service: &Service<P>, sandbox_id: &str) -> Status {
        match self {
            Self::Caller(status) => status,
            Self::Error(error) => service.problem(error, sandbox_id).into(),
        }
    }
}

impl From<ProviderError> for Failure {
    fn from(error: ProviderError) -> Self {
        Self::Error(error)
    }
}

/// A message of such a stream.
pub(super) trait Part: Default + Send + 'static {
    /// Whether it says what to do, which only the first may.
    fn is_first(&self) -> bool;
    /// Its bytes.
    fn take(&mut self) -> Bytes;
}

impl Part for WriteFileRequest {
    fn is_first(&self) -> bool {
        self.open.is_some()
    }

    fn take(&mut self) -> Bytes {
        std::mem::take(&mut self.data)
    }
}

impl Part for UploadArchiveRequest {
    fn is_first(&self) -> bool {
        self.open.is_some()
    }

    fn take(&mut self) -> Bytes {
        std::mem::take(&mut self.data)
    }
}

/// The first message.
pub(super) async fn first<T: Part>(stream: &mut Streaming<T>) -> Result<T, Status> {
    let first = stream.message().await?.unwrap_or_default();
    if first.is_first() {
        return Ok(first);
    }
    let message = "is missing: the first message says what to do";
    Err(Problem::invalid_field("open", message).into())
}

impl<P: Provider> Service<P> {
    pub(super) async fn write(
        &self,
        context: &CallContext,
        mut first: WriteFileRequest,
        stream: Streaming<WriteFileRequest>,
    ) -> Result<WriteFileResponse, Failure> {
        let open = first.open.take().unwrap_or_default();
        checked_path("open.path", &open.path)?;
        checked_mode(open.mode)?;
        let disposition = open.disposition;
        let write = WriteFile {
            path: open.path,
            mode: open.mode,
            create_parents: open.create_parents,
            disposition,
            expected_size: open.expected_size,
            sha256: open.sha256,
            if_match: open.if_match,
            source: String::new(),
        };
        check(&write)?;
        match self
            .send(context, Body::Write(write), first, stream)
            .await?
        {
            Answer::Info(mut facts) if facts.sha256.len() == SHA256 => {
                let sha256 = std::mem::take(&mut facts.sha256);
                let info = Some(files::info(facts)?);
                Ok(WriteFileResponse { info, sha256 })
            }
            _ => Err(unexpected().into()),
        }
    }

    pub(super) async fn unpack(
        &self,
        context: &CallContext,
        mut first: UploadArchiveRequest,
        stream: Streaming<UploadArchiveRequest>,
    ) -> Result<UploadArchiveResponse, Failure> {
        let open = first.open.take().unwrap_or_default();
        checked_compression(open.compression)?;
        let path = match open.path.as_str() {
            "" => ".",
            path => path,
        };
        checked_path("open.path", path)?;
        let unpack = Unpack {
            path: path.to_owned(),
            compression: open.compression,
            source: String::new(),
        };
        match self
            .send(context, Body::Unpack(unpack), first, stream)
            .await?
        {
            Answer::Summary(summary) => Ok(UploadArchiveResponse {
                summary: Some(files::summary(summary)?),
            }),
            _ => Err(unexpected().into()),
        }
    }

    /// Sends all that comes, at the pace at which it is taken, and waits for the answer.
    async fn send<T: Part>(
        &self,
        context: &CallContext,
        work: Body,
        mut part: T,
        mut stream: Streaming<T>,
    ) -> Result<Answer, Failure> {
        let mut line = self.line(context, Purpose::Use).await?;
        line.ask(work).await?;
        loop {
            let data = part.take();
            if !data.is_empty() {
                line.give(data, false).await?;
            }
            match stream.message().await.map_err(Failure::Caller)? {
                None => break,
                Some(next) if next.is_first() => {
                    let message = "is for the first message alone";
                    let error = ProviderError::new(Kind::InvalidField("open"), message);
                    return Err(error.into());
                }
                Some(next) => part = next,
            }
        }
        line.give(Bytes::new(), true).await?;
        Ok(line.next().await?)
    }
}

fn check(write: &WriteFile) -> Result<(), ProviderError> {
    let refused =
        |field, message: &str| Err(ProviderError::new(Kind::InvalidField(field), message));
    if Disposition::try_from(write.disposition).is_err() {
        return refused("open.disposition", "is none that this release knows");
    }
    if !matches!(write.sha256.len(), 0 | SHA256) {
        return refused("open.sha256", "has 32 bytes, or none");
    }
    if write.if_match.len() > ETAG {
        return refused("open.if_match", "is no etag that was given here");
    }
    Ok(())
}

pub(super) fn checked_compression(number: i32) -> Result<(), ProviderError> {
    match Compression::try_from(number) {
        Ok(_) => Ok(()),
        Err(_) => Err(ProviderError::new(
            Kind::InvalidField("compression"),
            "is none that this release knows: NONE, GZIP or ZSTD",
        )),
    }
}
