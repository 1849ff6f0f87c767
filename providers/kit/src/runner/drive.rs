//! The task that owns a connection: reads, writes, and ends it when nobody needs it or it is dead.

use std::{io, sync::Arc, time::Duration};

use bytes::BytesMut;
use sandgate_runner_proto::{
    FrameReader, put_frame,
    v1::{Credit, List, ToRunner, to_runner::Body},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    sync::mpsc::Receiver,
    time::{sleep, timeout},
};

use super::{
    LinkError,
    calls::Calls,
    link::{Shared, dropped},
};

/// A connection that nobody used for so long is closed.
const IDLE: Duration = Duration::from_secs(60);
/// Silence after which the runner is asked for a sign of life, and the time that it has to give it.
/// Also the time that it has to take a frame.
const SILENCE: Duration = Duration::from_secs(20);
/// How long the last frames of a stopped sandbox may take.
const LAST_FRAMES: Duration = Duration::from_secs(2);
/// Size of a read.
const READ: usize = 256 * 1024;

/// Drives a connection until it ends.
pub(super) async fn drive<L>(
    link: L,
    frames: FrameReader,
    requests: Receiver<ToRunner>,
    shared: Arc<Shared>,
    sandbox_id: String,
) where
    L: AsyncRead + AsyncWrite + Send + Unpin,
{
    let (reader, writer) = tokio::io::split(link);
    let fault = tokio::select! {
        fault = read(reader, frames, &shared) => fault,
        fault = write(writer, requests, &shared) => fault,
        () = unneeded(&shared) => LinkError::Lost,
    };
    if let LinkError::Broken(violation) = &fault {
        tracing::warn!(%violation, sandbox_id, "a runner broke the protocol; its connection is closed");
    }
    shared.end(fault);
}

async fn read<R: AsyncRead + Unpin>(
    mut reader: R,
    mut frames: FrameReader,
    shared: &Shared,
) -> LinkError {
    let mut asked = false;
    loop {
        // What came with the handshake is already there.
        if let Err(violation) = shared.calls().take(&mut frames) {
            return LinkError::Broken(violation);
        }
        frames.buffer().reserve(READ);
        match timeout(SILENCE, reader.read_buf(frames.buffer())).await {
            Ok(Ok(0) | Err(_)) => return LinkError::Lost,
            Ok(Ok(_)) => asked = false,
            Err(_) if asked => return LinkError::Lost,
            Err(_) => asked = ask_for_life(shared),
        }
    }
}

/// Where somebody waits, asks something that is cheap to answer.
fn ask_for_life(shared: &Shared) -> bool {
    let mut calls = shared.calls();
    let waited_for = !calls.is_idle();
    if waited_for {
        calls.ask_for_life();
        shared.wake.notify_one();
    }
    waited_for
}

async fn write<W: AsyncWrite + Unpin>(
    mut writer: W,
    mut requests: Receiver<ToRunner>,
    shared: &Shared,
) -> LinkError {
    loop {
        let mut out = BytesMut::new();
        tokio::select! {
            request = requests.recv() => match request {
                Some(request) => put_frame(&request, &mut out),
                None => return LinkError::Lost,
            },
            () = shared.wake.notified() => {}
        }
        let small = small_frames(&mut shared.calls());
        // A call goes before the frame that drops it.
        while let Ok(request) = requests.try_recv() {
            put_frame(&request, &mut out);
        }
        out.extend_from_slice(&small);
        match timeout(SILENCE, flush(&mut writer, out)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return LinkError::Lost,
        }
    }
}

/// Frames that need no queue: at most one credit for each observation, one drop for each call.
fn small_frames(calls: &mut Calls) -> BytesMut {
    let mut out = BytesMut::new();
    for call in std::mem::take(&mut calls.hungry) {
        let bytes = calls.watched(call).map_or(0, |watched| watched.give());
        if bytes > 0 {
            let body = Some(Body::Credit(Credit { bytes }));
            put_frame(&ToRunner { call, body }, &mut out);
        }
    }
    for call in std::mem::take(&mut calls.dropped) {
        put_frame(&dropped(call), &mut out);
    }
    if let Some(call) = calls.ping.take() {
        let list = List {
            limit: 1,
            ended_after: u64::MAX,
            ..List::default()
        };
        let body = Some(Body::List(list));
        put_frame(&ToRunner { call, body }, &mut out);
    }
    out
}

async fn flush<W: AsyncWrite + Unpin>(writer: &mut W, mut out: BytesMut) -> io::Result<()> {
    writer.write_all_buf(&mut out).await?;
    writer.flush().await
}

/// Ends when the connection was closed on purpose, or nobody used it for a while.
async fn unneeded(shared: &Shared) {
    let idle = async {
        loop {
            let left = IDLE.saturating_sub(shared.used().elapsed());
            if left.is_zero() && shared.calls().is_idle() {
                return;
            }
            sleep(left.max(Duration::from_secs(1))).await;
        }
    };
    let retired = async {
        shared.retired.cancelled().await;
        sleep(LAST_FRAMES).await;
    };
    tokio::select! {
        () = shared.closed.cancelled() => {}
        () = idle => {}
        () = retired => {}
    }
}
