//! Content of session files as it streams in and out.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{Stream, stream};
use sandgate_proto::{
    Problem, Reason,
    v1::{
        Disposition, FileChunk, FileEnd, ReadSessionFileResponse, WriteSessionFileRequest,
        read_session_file_response::Event,
    },
};
use tokio::time::timeout;
use tonic::Streaming;

use super::session_file_wire::describe;
use crate::{
    file::{Files, Open, Reading, Writing, normal},
    ids,
    principal::Principal,
    problem::{self, Result},
    store::{FileRecord, How},
};

/// Largest chunk of an answer, in bytes.
const CHUNK: usize = 64 << 10;
/// How long a caller may be silent in the middle of a write.
const SILENCE: Duration = Duration::from_secs(600);
/// Longest media type, in bytes.
const CONTENT_TYPE: usize = 256;
const SHA256: usize = 32;

/// What is sent next of a file that is read.
enum State {
    Info,
    Data(Bytes),
    Over,
}

/// Info, chunks, end.
pub(super) fn chunks(
    reading: Reading,
    offset: u64,
) -> impl Stream<Item = Result<ReadSessionFileResponse>> + Send {
    let begin = (reading, State::Info, offset, 0);
    stream::unfold(begin, |(mut reading, state, at, sent)| async move {
        let (event, state, size) = match state {
            State::Over => return None,
            State::Info => {
                let info = describe(reading.file().clone());
                (Event::Info(info), State::Data(Bytes::new()), 0)
            }
            State::Data(mut data) => {
                if data.is_empty() {
                    data = match reading.next().await {
                        Ok(data) => data.unwrap_or_default(),
                        Err(problem) => {
                            return Some((Err(problem), (reading, State::Over, at, sent)));
                        }
                    };
                }
                let chunk = data.split_to(data.len().min(CHUNK));
                let size = chunk.len() as u64;
                match size {
                    0 => {
                        let etag = reading.file().etag.clone();
                        (Event::End(FileEnd { bytes: sent, etag }), State::Over, 0)
                    }
                    _ => {
                        let chunk = FileChunk {
                            offset: at,
                            data: chunk,
                        };
                        (Event::Chunk(chunk), State::Data(data), size)
                    }
                }
            }
        };
        let message = ReadSessionFileResponse { event: Some(event) };
        Some((Ok(message), (reading, state, at + size, sent + size)))
    })
}

/// Writes what a caller sends.
pub(super) async fn received(
    files: &Arc<Files>,
    principal: &Principal,
    stream: &mut Streaming<WriteSessionFileRequest>,
) -> Result<FileRecord> {
    let Some(first) = message(stream).await? else {
        return Err(Problem::invalid_field("open", "is required"));
    };
    let session_id = ids::session_id(&first.session_id)?;
    let session = files.session(principal, session_id).await?;
    let open = opened(&first)?;
    let mut writing: Writing = files.write(session, open).await?;
    writing.push(first.data).await?;
    while let Some(next) = message(stream).await? {
        if next.open.is_some() {
            let message = "may be on the first message only; leave it empty on the others";
            return Err(Problem::invalid_field("open", message));
        }
        writing.push(next.data).await?;
    }
    writing.finish().await
}

fn opened(first: &WriteSessionFileRequest) -> Result<Open> {
    let required = || Problem::invalid_field("open", "is required on the first message");
    let open = first.open.as_ref().ok_or_else(required)?;
    let how = match Disposition::try_from(open.disposition) {
        Ok(Disposition::Unspecified | Disposition::Replace) => How::Replace,
        Ok(Disposition::Create) => How::Create,
        Ok(Disposition::Append) => How::Append { instead_of: None },
        Err(_) => {
            let message = "must be a known Disposition";
            return Err(Problem::invalid_field("open.disposition", message));
        }
    };
    if !open.sha256.is_empty() && open.sha256.len() != SHA256 {
        return Err(Problem::invalid_field("open.sha256", "has 32 bytes"));
    }
    let kind = &open.content_type;
    if kind.len() > CONTENT_TYPE || kind.bytes().any(|byte| !(b' '..=b'~').contains(&byte)) {
        let message = "has at most 256 printable ASCII characters, as in text/plain";
        return Err(Problem::invalid_field("open.content_type", message));
    }
    Ok(Open {
        path: normal("open.path", &open.path)?,
        how,
        content_type: kind.clone(),
        expected_size: open.expected_size,
        sha256: open.sha256.to_vec(),
        if_match: open.if_match.clone(),
    })
}

/// The next message; none at the end. A call that breaks off is no end.
async fn message(
    stream: &mut Streaming<WriteSessionFileRequest>,
) -> Result<Option<WriteSessionFileRequest>> {
    match timeout(SILENCE, stream.message()).await {
        Ok(Ok(message)) => Ok(message),
        Ok(Err(status)) => Err(Problem::from_status(&status).unwrap_or_else(|| {
            let message = "the call broke off, so that nothing was written; write the file again";
            Problem::new(Reason::Cancelled, message)
        })),
        Err(_) => Err(problem::deadline_exceeded()),
    }
}
