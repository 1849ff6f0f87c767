//! Streams a directory as an archive.

use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, stream};
use sandgate_proto::v1::{
    DownloadArchiveRequest, DownloadArchiveResponse, download_archive_response::Event,
};
use sandgate_runner_proto::v1::{Pack, file_request::Body};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tonic::Status;

use super::{super::Service, checked_path, read::CHUNK, unexpected};
use crate::{
    CallContext, Kind, Provider, ProviderError,
    files::{self, Answer, Line, Purpose},
};

/// Most paths, most patterns, and the longest pattern.
const PATHS: usize = 1000;
const PATTERNS: usize = 1000;
const PATTERN: usize = 1024;
/// How long the first bytes are waited for before the stream begins without them: a gateway takes a
/// provider that does not begin for lost. A refusal comes sooner.
const FIRST: Duration = Duration::from_secs(10);

/// An archive that is being packed.
pub(super) struct Packing<L> {
    line: Line<L>,
    next: Next,
}

/// What the stream goes on with.
enum Next {
    /// This has come.
    Have(Answer),
    /// It is still to come.
    Wait,
    /// All was sent.
    End,
}

impl<P: Provider> Service<P> {
    pub(super) async fn pack(
        &self,
        context: &CallContext,
        request: DownloadArchiveRequest,
    ) -> Result<Packing<P::Link>, ProviderError> {
        let compression = request.compression;
        let pack = Pack {
            paths: match request.paths.is_empty() {
                true => vec![".".to_owned()],
                false => request.paths,
            },
            excludes: request.excludes,
            compression,
            max_bytes: request.max_bytes,
            max_entries: request.max_entries,
        };
        check(&pack)?;
        let mut line = self.line(context, Purpose::Use).await?;
        line.ask(Body::Pack(pack)).await?;
        let next = match timeout(FIRST, line.next()).await {
            Ok(answer) => Next::Have(answer?),
            Err(_) => Next::Wait,
        };
        Ok(Packing { line, next })
    }
}

fn check(pack: &Pack) -> Result<(), ProviderError> {
    let refused =
        |field, message: &str| Err(ProviderError::new(Kind::InvalidField(field), message));
    if pack.paths.len() > PATHS {
        return refused(
            "paths",
            "are at most 1,000; name a directory that holds them",
        );
    }
    let is_pattern = |pattern: &String| !pattern.is_empty() && pattern.len() <= PATTERN;
    if pack.excludes.len() > PATTERNS || !pack.excludes.iter().all(is_pattern) {
        return refused("excludes", "are at most 1,000 patterns of 1 to 1,024 bytes");
    }
    super::upload::checked_compression(pack.compression)?;
    pack.paths
        .iter()
        .try_for_each(|path| checked_path("paths", path))
}

impl<L: AsyncRead + AsyncWrite + Send + Unpin + 'static> Packing<L> {
    /// The messages, the summary last. A stream that stops without it is an error.
    pub(super) fn stream(
        self,
        provider: &'static str,
        sandbox_id: String,
    ) -> impl Stream<Item = Result<DownloadArchiveResponse, Status>> + Send {
        stream::unfold(self, move |mut packing| {
            let sandbox_id = sandbox_id.clone();
            async move {
                let event = packing.event().await.transpose()?;
                let event = event.map_err(|error| {
                    packing.next = Next::End;
                    error.into_problem(provider, &sandbox_id).into()
                });
                let item = event.map(|event| DownloadArchiveResponse { event: Some(event) });
                Some((item, packing))
            }
        })
    }

    /// The next message; none: all was sent.
    async fn event(&mut self) -> Result<Option<Event>, ProviderError> {
        let answer = match std::mem::replace(&mut self.next, Next::End) {
            Next::Have(answer) => answer,
            Next::Wait => self.line.next().await?,
            Next::End => return Ok(None),
        };
        let mut data: Bytes = match answer {
            Answer::Data(data) => data,
            Answer::Summary(summary) => {
                return files::summary(summary).map(Event::Summary).map(Some);
            }
            _ => return Err(unexpected()),
        };
        let part = data.split_to(data.len().min(CHUNK));
        self.next = match data.is_empty() {
            true => Next::Wait,
            false => Next::Have(Answer::Data(data)),
        };
        Ok(Some(Event::Data(part)))
    }
}
