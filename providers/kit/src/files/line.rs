//! One connection to a worker on files.

use std::{io, time::Duration};

use bytes::{Buf as _, Bytes, BytesMut};
use sandgate_proto::Outcome;
use sandgate_runner_proto::{
    Broken, FILES_VERSION, FROM_RUNNER_BYTES, FrameReader, put_frame,
    v1::{
        FileAnswer, FileData, FileRequest, Files, FromRunner, Hello, ToRunner, file_answer,
        file_request, from_runner, to_runner,
    },
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    time::timeout,
};

use super::{Purpose, refused::refused, room::Place};
use crate::{CallContext, Kind, ProviderError, Reached, runner::hello};

pub(crate) use file_answer::Body as Answer;

/// The calls on each connection.
const HELLO: u64 = 1;
const FILES: u64 = 2;
const WORK: u64 = 3;
/// Bytes in one frame to the worker.
const PART: usize = 512 * 1024;
/// Longest silence of a worker that has something to do.
const SILENCE: Duration = Duration::from_secs(120);
/// Size of a read.
const READ: usize = 256 * 1024;

/// The connection. Dropping it ends the work.
pub(crate) struct Line<L> {
    link: L,
    frames: FrameReader,
    out: BytesMut,
    _place: Place,
}

impl<L: AsyncRead + AsyncWrite + Unpin> Line<L> {
    /// Greets the runner and has the connection handed over.
    pub(super) async fn open(
        reached: Reached<L>,
        context: &CallContext,
        purpose: Purpose,
        place: Place,
    ) -> Result<Self, ProviderError> {
        let mut line = Self {
            link: reached.link,
            frames: FrameReader::new(FROM_RUNNER_BYTES),
            out: BytesMut::new(),
            _place: place,
        };
        let hello = Hello {
            sandbox_id: context.sandbox_id.clone(),
            generation: context.generation,
            secret: reached.secret,
            ..hello()
        };
        line.put(HELLO, to_runner::Body::Hello(hello));
        let files = Files {
            looks: purpose == Purpose::Look,
            ..Files::default()
        };
        line.put(FILES, to_runner::Body::Files(files));
        line.flush().await?;
        match line.frame().await? {
            (HELLO, from_runner::Body::Welcome(welcome)) if welcome.version < FILES_VERSION => {
                return Err(ProviderError::new(
                    Kind::Unsupported("files"),
                    "the runner in this sandbox is an older one that knows no files: stop and start the sandbox, or make it anew",
                ));
            }
            (HELLO, from_runner::Body::Welcome(_)) => {}
            _ => return Err(broken("no welcome")),
        }
        match line.frame().await? {
            (FILES, from_runner::Body::Done(_)) => Ok(line),
            _ => Err(broken("nothing was handed over")),
        }
    }

    /// Asks for one piece of work.
    pub(crate) async fn ask(&mut self, body: file_request::Body) -> Result<(), ProviderError> {
        let body = Some(body);
        self.put(WORK, to_runner::Body::File(FileRequest { body }));
        self.flush().await
    }

    /// Asks for it, and waits for its only answer.
    pub(crate) async fn once(&mut self, body: file_request::Body) -> Result<Answer, ProviderError> {
        self.ask(body).await?;
        self.next().await
    }

    /// Gives bytes to the work; an error that came meanwhile ends it early.
    pub(crate) async fn give(&mut self, mut data: Bytes, eof: bool) -> Result<(), ProviderError> {
        loop {
            let part = data.split_to(data.len().min(PART));
            let is_last = data.is_empty();
            let body = to_runner::Body::FileData(FileData {
                data: part,
                eof: eof && is_last,
            });
            self.put(WORK, body);
            self.flush().await?;
            if is_last {
                return Ok(());
            }
        }
    }

    /// The next answer.
    pub(crate) async fn next(&mut self) -> Result<Answer, ProviderError> {
        match self.frame().await? {
            (WORK, from_runner::Body::FileAnswer(FileAnswer { body: Some(body) })) => Ok(body),
            _ => Err(broken("an answer of another kind")),
        }
    }

    async fn frame(&mut self) -> Result<(u64, from_runner::Body), ProviderError> {
        loop {
            if let Some(frame) = taken(&mut self.frames)? {
                return Ok(frame);
            }
            self.frames.buffer().reserve(READ);
            let read = self.link.read_buf(self.frames.buffer());
            let size = timeout(SILENCE, read).await.map_err(|_| silent())?;
            if size.map_err(lost)? == 0 {
                return Err(lost(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    fn put(&mut self, call: u64, body: to_runner::Body) {
        let body = Some(body);
        put_frame(&ToRunner { call, body }, &mut self.out);
    }

    /// Writes what is to be sent, and meanwhile hears of a refusal that makes it useless.
    async fn flush(&mut self) -> Result<(), ProviderError> {
        while self.out.has_remaining() {
            let (mut reader, mut writer) = tokio::io::split(&mut self.link);
            self.frames.buffer().reserve(READ);
            let step = async {
                tokio::select! {
                    biased;
                    size = reader.read_buf(self.frames.buffer()) => size,
                    size = writer.write_buf(&mut self.out) => size,
                }
            };
            let size = timeout(SILENCE, step).await.map_err(|_| silent())?;
            if size.map_err(lost)? == 0 {
                return Err(lost(io::ErrorKind::UnexpectedEof.into()));
            }
            self.hear()?;
        }
        let flushed = timeout(SILENCE, self.link.flush()).await;
        flushed.map_err(|_| silent())?.map_err(lost)
    }

    /// Fails where a refusal is there already. Nothing else comes before all was given.
    fn hear(&mut self) -> Result<(), ProviderError> {
        match taken(&mut self.frames)? {
            None => Ok(()),
            Some(_) => Err(broken("an answer to what was not asked")),
        }
    }
}

fn taken(frames: &mut FrameReader) -> Result<Option<(u64, from_runner::Body)>, ProviderError> {
    loop {
        let frame = frames.next::<FromRunner>();
        let frame = frame.map_err(|error: Broken| broken(&error.to_string()))?;
        let Some(FromRunner { call, body }) = frame else {
            return Ok(None);
        };
        match body {
            // It has been heard, which is all that it is for.
            Some(from_runner::Body::FileAnswer(FileAnswer {
                body: Some(Answer::Working(_)),
            })) => {}
            Some(from_runner::Body::Refused(refusal)) => return Err(refused(&refusal)),
            Some(body) => return Ok(Some((call, body))),
            None => return Err(broken("an empty answer")),
        }
    }
}

fn broken(what: &str) -> ProviderError {
    ProviderError::new(
        Kind::Unavailable(Outcome::Ambiguous),
        "the runner in the sandbox does not keep its protocol; if a repeated call fails too, make the sandbox anew",
    )
    .caused_by(what.to_owned())
}

fn lost(error: io::Error) -> ProviderError {
    ProviderError::new(
        Kind::Unavailable(Outcome::Ambiguous),
        "the way to the files of the sandbox was lost; look at what is there, then repeat the call",
    )
    .caused_by(error)
}

fn silent() -> ProviderError {
    lost(io::ErrorKind::TimedOut.into())
}

#[cfg(test)]
mod tests {
    use sandgate_runner_proto::v1::Working;

    use super::*;

    /// As many as one read takes in: none of them may cost stack.
    #[test]
    fn any_number_of_signs_of_life_is_passed_over() {
        let mut out = BytesMut::new();
        while out.len() < READ {
            let working = Answer::Working(Working {});
            let body = from_runner::Body::FileAnswer(FileAnswer {
                body: Some(working),
            });
            let body = Some(body);
            put_frame(&FromRunner { call: WORK, body }, &mut out);
        }
        let taken = std::thread::Builder::new()
            .stack_size(128 * 1024)
            .spawn(move || {
                let mut frames = FrameReader::new(FROM_RUNNER_BYTES);
                frames.buffer().extend_from_slice(&out);
                taken(&mut frames).map(|frame| frame.is_none())
            });
        assert!(taken.unwrap().join().unwrap().unwrap());
    }
}
