//! Work on files by visits: each piece is one, and what it takes goes along, or is uploaded before.

use std::io;

use bytes::{Bytes, BytesMut};
use futures::stream;
use sandgate_runner_proto::v1::{
    FileAnswer, FileData, FileRequest, Files, FromRunner, ToRunner, file_answer, file_request,
    from_runner, to_runner::Body,
};
use tokio::sync::mpsc;

use super::{
    Reader, Upload, Uploaded, Visitor,
    call::INPUT,
    desk::{Answers, Desk, Open},
};

/// Bytes of a request, as they come.
pub(super) type Content = mpsc::Receiver<FileData>;

/// Frames of a request that takes nothing.
const WORK: usize = 2;

/// What a request takes.
enum Taken {
    /// All of it.
    Whole(Bytes),
    /// The beginning of more than a visit carries.
    More(Bytes),
}

/// Whether more answers come behind this one.
pub(super) fn goes_on(answer: &FileAnswer) -> bool {
    match &answer.body {
        Some(
            file_answer::Body::Opened(_)
            | file_answer::Body::Data(_)
            | file_answer::Body::Working(_),
        ) => true,
        Some(file_answer::Body::Entries(entries)) => !entries.last,
        _ => false,
    }
}

impl<V: Visitor> Desk<V> {
    /// Does one piece of work, with all that it takes.
    pub(super) async fn work(
        &self,
        (files, request): (Files, ToRunner),
        content: Content,
        open: &Open,
        answers: &Answers,
    ) -> io::Result<()> {
        let call = request.call;
        let done = self.try_work((files, request), content, open, answers);
        match done.await {
            // What takes files for the sandbox says why, and the call alone ends.
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                let sent = answers.send(refused(call, "DISK_FULL")).await;
                sent.map_err(io::Error::other)
            }
            done => done,
        }
    }

    async fn try_work(
        &self,
        (files, request): (Files, ToRunner),
        content: Content,
        open: &Open,
        answers: &Answers,
    ) -> io::Result<()> {
        let call = request.call;
        let begin = ToRunner {
            call: 0,
            body: Some(Body::Files(files)),
        };
        let mut asks: Vec<_> = [begin, request].into();
        let given = tokio::select! {
            given = self.give(&mut asks, content) => given,
            () = open.dropped.cancelled() => return Ok(()),
        };
        // Removed when all is over: a request may be refused before it is read.
        let _file = given?;
        // What is written may be a secret.
        let holds_content = asks.len() > WORK;
        self.visit_with((call, holds_content), &asks, false, open, answers)
            .await
    }

    /// Adds what the request takes: its bytes, or the name of a file that holds them.
    async fn give(
        &self,
        asks: &mut Vec<ToRunner>,
        mut content: Content,
    ) -> io::Result<Option<Uploaded>> {
        let Some(ToRunner {
            call,
            body: Some(Body::File(FileRequest { body: Some(work) })),
        }) = asks.last_mut()
        else {
            return Ok(None);
        };
        let source = match work {
            file_request::Body::Write(write) => &mut write.source,
            file_request::Body::Unpack(unpack) => &mut unpack.source,
            _ => return Ok(None),
        };
        let call = *call;
        match taken(&mut content).await? {
            Taken::Whole(data) => {
                let data = FileData { data, eof: true };
                let body = Some(Body::FileData(data));
                asks.push(ToRunner { call, body });
                Ok(None)
            }
            Taken::More(first) => {
                let content = upload(first, content);
                let file = self.visitor.upload(content, Reader::User).await?;
                file.path().clone_into(source);
                Ok(Some(file))
            }
        }
    }
}

/// Waits for the end, or for more than one visit carries.
async fn taken(content: &mut Content) -> io::Result<Taken> {
    let mut bytes = BytesMut::new();
    loop {
        let part = content.recv().await.ok_or(io::ErrorKind::UnexpectedEof)?;
        bytes.extend_from_slice(&part.data);
        if bytes.len() > INPUT {
            return Ok(Taken::More(bytes.freeze()));
        }
        if part.eof {
            return Ok(Taken::Whole(bytes.freeze()));
        }
    }
}

/// All bytes as a stream; one whose caller went away ends with an error.
fn upload(first: Bytes, content: Content) -> Upload {
    enum State {
        First(Bytes, Content),
        On(Content),
        Over,
    }
    Box::pin(stream::unfold(
        State::First(first, content),
        |state| async {
            match state {
                State::First(first, content) => Some((Ok(first), State::On(content))),
                State::On(mut content) => match content.recv().await {
                    Some(part) if part.eof => Some((Ok(part.data), State::Over)),
                    Some(part) => Some((Ok(part.data), State::On(content))),
                    None => Some((Err(io::ErrorKind::UnexpectedEof.into()), State::Over)),
                },
                State::Over => None,
            }
        },
    ))
}

/// A refusal of our own.
fn refused(call: u64, reason: &str) -> FromRunner {
    let refused = sandgate_runner_proto::v1::Refused {
        reason: reason.to_owned(),
        ..Default::default()
    };
    let body = Some(from_runner::Body::Refused(refused));
    FromRunner { call, body }
}

/// An answer of our own.
pub(super) fn done(call: u64) -> FromRunner {
    let done = sandgate_runner_proto::v1::Done { delivered: true };
    let body = Some(from_runner::Body::Done(done));
    FromRunner { call, body }
}
