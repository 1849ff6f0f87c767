//! One call: a visit, and the answers that are passed on.

use std::{io, time::Duration};

use bytes::Bytes;
use futures::stream;
use sandgate_runner_proto::{
    FROM_RUNNER_BYTES, FrameReader, VISIT_FILE,
    v1::{FromRunner, Refused, ToRunner, from_runner, to_runner::Body},
};
use tokio::time::timeout;

use super::{
    HELLO, LOST, MOST, Reader, Uploaded, Visit, Visitor,
    desk::{Answers, Desk, Open},
    files::goes_on,
    framed, variables,
};

/// Input that one visit carries.
pub(super) const INPUT: usize = MOST / 2;
/// How long a visit that has said all may take to end.
const LAST: Duration = Duration::from_secs(1);

/// What comes after an answer.
enum Next {
    More,
    Last,
}

impl<V: Visitor> Desk<V> {
    /// Answers a call by a visit.
    pub(super) async fn answer(
        &self,
        call: u64,
        body: Body,
        open: &Open,
        answers: &Answers,
    ) -> io::Result<()> {
        let is_secret = match &body {
            Body::Start(start) => !start.env.is_empty() || !start.stdin.is_empty(),
            _ => false,
        };
        let asks = ToRunner {
            call,
            body: Some(body),
        };
        let watched = is_watched(&asks);
        self.visit_with((call, is_secret), &[asks], watched, open, answers)
            .await
    }

    /// Makes one visit with all these frames; only the answers to `call` are passed on.
    pub(super) async fn visit_with(
        &self,
        (call, is_secret): (u64, bool),
        asks: &[ToRunner],
        watched: bool,
        open: &Open,
        answers: &Answers,
    ) -> io::Result<()> {
        let frames = framed(&self.hello, asks);
        let begun = tokio::select! {
            begun = self.begun(frames, is_secret) => begun,
            () = open.dropped.cancelled() => return Ok(()),
        };
        let (mut visit, file) = begun?;
        let passed = tokio::select! {
            passed = self.pass_on((&mut visit, file), call, watched, open, answers) => Some(passed),
            () = open.dropped.cancelled() => None,
        };
        // Its own end is read, so that its connection can be used again.
        if let Some(Ok(())) = passed {
            tokio::spawn(async move {
                let rest = async { while let Ok(Some(_)) = visit.next().await {} };
                if timeout(LAST, rest).await.is_err() {
                    visit.end().await;
                }
            });
            return Ok(());
        }
        // Nobody reads it any more, or can: it must not stay with the runner.
        tokio::spawn(visit.end());
        match passed {
            Some(Err(error)) if is_of_the_call(&error) && !self.is_over() => {
                tracing::debug!(%error, "a visit to a runner is lost");
                answers.send(lost(call)).await.map_err(io::Error::other)
            }
            passed => passed.unwrap_or(Ok(())),
        }
    }

    /// Begins a visit. What nobody else is to see, or is too much for variables, goes through a file,
    /// which is there until it is read: a vendor may write down how it starts programs.
    async fn begun(
        &self,
        frames: Vec<u8>,
        is_secret: bool,
    ) -> io::Result<(V::Visit, Option<Uploaded>)> {
        if !is_secret && frames.len() <= MOST {
            let visit = self.visitor.visit(variables(&frames)).await?;
            return Ok((visit, None));
        }
        let content = Box::pin(stream::iter([Ok(Bytes::from(frames))]));
        let file = self.visitor.upload(content, Reader::Runner).await?;
        let variables = vec![(VISIT_FILE.to_owned(), file.path().to_owned())];
        Ok((self.visitor.visit(variables).await?, Some(file)))
    }

    async fn pass_on(
        &self,
        (visit, mut file): (&mut V::Visit, Option<Uploaded>),
        call: u64,
        watched: bool,
        open: &Open,
        answers: &Answers,
    ) -> io::Result<()> {
        let mut frames = FrameReader::new(FROM_RUNNER_BYTES);
        loop {
            while let Some(frame) = frames.next::<FromRunner>().map_err(io::Error::other)? {
                if frame.call == HELLO {
                    // It has read what it is to pass on.
                    if let Some(file) = file.take() {
                        file.taken();
                    }
                    self.check(&frame)?;
                    continue;
                }
                if frame.call != call {
                    continue;
                }
                let next = next(&frame, watched);
                if let Some(from_runner::Body::Output(output)) = &frame.body {
                    let size = u32::try_from(output.data.len()).map_err(io::Error::other)?;
                    let credit = open.credit.acquire_many(size).await;
                    credit.map_err(io::Error::other)?.forget();
                }
                answers.send(frame).await.map_err(io::Error::other)?;
                if matches!(next, Next::Last) {
                    return Ok(());
                }
            }
            match visit.next().await? {
                Some(bytes) => frames.buffer().extend_from_slice(&bytes),
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
    }

    /// It has to be the runner that was greeted at first.
    fn check(&self, frame: &FromRunner) -> io::Result<()> {
        match &frame.body {
            Some(from_runner::Body::Welcome(welcome))
                if welcome.boot_id == self.welcome.boot_id =>
            {
                Ok(())
            }
            _ => {
                self.end();
                Err(io::Error::other("the runner is another one by now"))
            }
        }
    }
}

/// Whether another visit may well do better. One that finds no program does not: the runner has to be put
/// there again.
fn is_of_the_call(error: &io::Error) -> bool {
    error.kind() != io::ErrorKind::NotFound
}

fn lost(call: u64) -> FromRunner {
    let refused = Refused {
        reason: LOST.to_owned(),
        ..Refused::default()
    };
    let body = Some(from_runner::Body::Refused(refused));
    FromRunner { call, body }
}

fn is_watched(asks: &ToRunner) -> bool {
    match &asks.body {
        Some(Body::Start(start)) => start.observe.is_some(),
        Some(Body::Observe(_)) => true,
        _ => false,
    }
}

fn next(frame: &FromRunner, watched: bool) -> Next {
    match &frame.body {
        Some(from_runner::Body::Started(_)) if watched => Next::More,
        Some(from_runner::Body::Output(_) | from_runner::Body::Gap(_)) => Next::More,
        Some(from_runner::Body::FileAnswer(answer)) if goes_on(answer) => Next::More,
        _ => Next::Last,
    }
}
