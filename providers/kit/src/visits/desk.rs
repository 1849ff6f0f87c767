//! Takes the frames of a connection and has each answered by a visit.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::BytesMut;
use sandgate_runner_proto::{
    FrameReader, TO_RUNNER_BYTES, put_frame,
    v1::{
        FileData, Files, FromRunner, Hello, List, Listed, Refused, ToRunner, Welcome, from_runner,
        to_runner::Body,
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadHalf, WriteHalf},
    sync::{Semaphore, mpsc},
};
use tokio_util::sync::CancellationToken;

use super::{
    Visitor,
    files::{self, Content},
};

/// Calls that may be open: the runner takes 512 connections.
const OPEN: usize = 448;
/// Answers that may wait for the writer, each of up to 256 KiB, and bytes that are written together:
/// a reader that does not read costs no more.
const ANSWERS: usize = 4;
const TOGETHER: usize = 128 * 1024;
/// Parts of a file that may wait.
const CONTENT: usize = 2;
/// Size of a read.
const READ: usize = 64 * 1024;

/// One connection.
pub(super) struct Desk<V> {
    pub(super) visitor: V,
    pub(super) hello: Hello,
    pub(super) welcome: Welcome,
    open: Mutex<HashMap<u64, Open>>,
    over: CancellationToken,
}

/// A call that has not had its last answer.
#[derive(Clone)]
pub(super) struct Open {
    /// Bytes of output that may be sent.
    pub(super) credit: Arc<Semaphore>,
    /// Nobody waits for it any more.
    pub(super) dropped: CancellationToken,
}

/// What was said of files on this connection.
#[derive(Default)]
struct Given {
    files: Option<Files>,
    /// Where the bytes of the last request go.
    content: Option<mpsc::Sender<FileData>>,
}

/// Where answers go.
pub(super) type Answers = mpsc::Sender<FromRunner>;

impl<V: Visitor> Desk<V> {
    pub(super) fn new(visitor: V, hello: Hello, welcome: Welcome) -> Self {
        Self {
            visitor,
            hello,
            welcome,
            open: Mutex::default(),
            over: CancellationToken::new(),
        }
    }

    /// Serves the connection until its other end goes, or a visit is lost.
    pub(super) async fn serve(self: Arc<Self>, link: DuplexStream) {
        let (reader, writer) = tokio::io::split(link);
        let (answers, waiting) = mpsc::channel(ANSWERS);
        // Everything that can go wrong here ends the connection, and the kit makes another.
        tokio::select! {
            _ = self.clone().read(reader, answers) => {}
            _ = write(writer, waiting) => {}
            () = self.over.cancelled() => {}
        }
        // Visits that are under way end.
        self.over.cancel();
    }

    async fn read(
        self: Arc<Self>,
        mut reader: ReadHalf<DuplexStream>,
        answers: Answers,
    ) -> io::Result<()> {
        let mut frames = FrameReader::new(TO_RUNNER_BYTES);
        let mut given = Given::default();
        loop {
            while let Some(frame) = frames.next().map_err(io::Error::other)? {
                if let Some(frame) = self.take_files(frame, &mut given, &answers).await? {
                    self.take(frame, &answers).await?;
                }
            }
            frames.buffer().reserve(READ);
            if reader.read_buf(frames.buffer()).await? == 0 {
                return Ok(());
            }
        }
    }

    async fn take(self: &Arc<Self>, frame: ToRunner, answers: &Answers) -> io::Result<()> {
        let call = frame.call;
        let answer = match frame.body {
            Some(Body::Hello(_)) => from_runner::Body::Welcome(self.welcome.clone()),
            Some(Body::List(list)) if is_sign_of_life(&list) => {
                // The vendor's own streams tell when they are lost.
                from_runner::Body::Listed(Listed::default())
            }
            Some(Body::Credit(credit)) => {
                if let Some(open) = self.open().get(&call) {
                    give(&open.credit, credit.bytes);
                }
                return Ok(());
            }
            Some(Body::Drop(_)) => {
                if let Some(open) = self.open().remove(&call) {
                    open.dropped.cancel();
                }
                return Ok(());
            }
            Some(Body::Connect(_)) => from_runner::Body::Refused(Refused {
                reason: "UNKNOWN_REQUEST".to_owned(),
                message: "a visit is no stream of bytes".to_owned(),
                ..Refused::default()
            }),
            Some(_) if self.open().len() >= OPEN => from_runner::Body::Refused(Refused {
                reason: "TOO_MANY_OBSERVERS".to_owned(),
                message: format!("{OPEN} calls to this sandbox are open"),
                ..Refused::default()
            }),
            Some(body) => {
                self.begin(call, body, answers.clone());
                return Ok(());
            }
            None => return Err(io::ErrorKind::InvalidData.into()),
        };
        let body = Some(answer);
        let sent = answers.send(FromRunner { call, body }).await;
        sent.map_err(io::Error::other)
    }

    /// Takes what is about files; any other frame comes back.
    async fn take_files(
        self: &Arc<Self>,
        frame: ToRunner,
        given: &mut Given,
        answers: &Answers,
    ) -> io::Result<Option<ToRunner>> {
        let call = frame.call;
        match frame.body {
            Some(Body::Files(files)) => {
                given.files = Some(files);
                let sent = answers.send(files::done(call)).await;
                sent.map_err(io::Error::other)?;
            }
            Some(Body::File(_)) => {
                let files = given.files.clone().ok_or(io::ErrorKind::InvalidData)?;
                let (content, taken) = mpsc::channel(CONTENT);
                given.content = Some(content);
                self.begin_work(files, frame, taken, answers.clone());
            }
            // Nobody takes what comes for a request that has been answered.
            Some(Body::FileData(data)) => {
                if let Some(content) = &given.content {
                    let _ = content.send(data).await;
                }
            }
            _ => return Ok(Some(frame)),
        }
        Ok(None)
    }

    fn begin_work(
        self: &Arc<Self>,
        files: Files,
        request: ToRunner,
        content: Content,
        answers: Answers,
    ) {
        let open = self.new_open();
        let desk = self.clone();
        tokio::spawn(async move {
            let done = desk.work((files, request), content, &open, &answers);
            if let Err(error) = done.await {
                tracing::debug!(%error, sandbox_id = desk.hello.sandbox_id, "work on files is lost");
                desk.over.cancel();
            }
        });
    }

    fn new_open(&self) -> Open {
        Open {
            credit: Arc::new(Semaphore::new(0)),
            dropped: self.over.child_token(),
        }
    }

    fn begin(self: &Arc<Self>, call: u64, mut body: Body, answers: Answers) {
        let open = self.new_open();
        let observe = match &mut body {
            Body::Start(start) => start.observe.as_mut(),
            Body::Observe(observe) => Some(observe),
            _ => None,
        };
        if let Some(observe) = observe {
            // Kept here: a credit is no reason for a visit.
            give(&open.credit, observe.credit);
            observe.credit = u64::MAX;
        }
        self.open().insert(call, open.clone());
        let desk = self.clone();
        tokio::spawn(async move {
            let answered = desk.answer(call, body, &open, &answers).await;
            desk.open().remove(&call);
            if let Err(error) = answered {
                tracing::debug!(%error, sandbox_id = desk.hello.sandbox_id, "no visit can be made to a runner");
                desk.end();
            }
        });
    }

    /// Whether the connection is at its end.
    pub(super) fn is_over(&self) -> bool {
        self.over.is_cancelled()
    }

    /// Ends the connection.
    pub(super) fn end(&self) {
        self.over.cancel();
    }

    fn open(&self) -> MutexGuard<'_, HashMap<u64, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the kit asks for a sign of life with.
fn is_sign_of_life(list: &List) -> bool {
    list.limit == 1 && list.ended_after == u64::MAX
}

fn give(credit: &Semaphore, bytes: u64) {
    let room = Semaphore::MAX_PERMITS - credit.available_permits();
    credit.add_permits(usize::try_from(bytes).unwrap_or(usize::MAX).min(room));
}

async fn write(
    mut writer: WriteHalf<DuplexStream>,
    mut waiting: mpsc::Receiver<FromRunner>,
) -> io::Result<()> {
    while let Some(frame) = waiting.recv().await {
        let mut out = BytesMut::new();
        put_frame(&frame, &mut out);
        while out.len() < TOGETHER
            && let Ok(frame) = waiting.try_recv()
        {
            put_frame(&frame, &mut out);
        }
        writer.write_all_buf(&mut out).await?;
        writer.flush().await?;
    }
    Ok(())
}
