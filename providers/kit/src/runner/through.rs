//! Through a runner: a fresh connection to it becomes the byte stream to a port of its sandbox.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use sandgate_runner_proto::{
    FROM_RUNNER_BYTES, FrameReader, put_frame,
    v1::{Connect, FromRunner, ToRunner, from_runner, to_runner::Body},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    time::timeout,
};

use super::{LinkError, Violation, check, connect::welcomed, greet::hello_to};
use crate::{CallContext, Reached};

/// The call.
const CONNECT: u64 = 2;
/// How long a runner may take, and what listens at the port.
const WITHIN: Duration = Duration::from_secs(15);

/// Greets the runner and has it connect; the stream, and what came on it already.
pub(crate) async fn through<L>(
    reached: Reached<L>,
    context: &CallContext,
    port: u16,
) -> Result<(L, Bytes), LinkError>
where
    L: AsyncRead + AsyncWrite + Unpin,
{
    let Reached { mut link, secret } = reached;
    let hello = hello_to(context, secret);
    let made = async {
        let mut frames = FrameReader::new(FROM_RUNNER_BYTES);
        welcomed(&mut link, hello, &mut frames).await?;
        connect(&mut link, port, &mut frames).await?;
        Ok(std::mem::take(frames.buffer()).freeze())
    };
    let came = timeout(WITHIN, made).await.map_err(|_| LinkError::Lost)?;
    came.map(|came| (link, came))
}

async fn connect<L>(link: &mut L, port: u16, frames: &mut FrameReader) -> Result<(), LinkError>
where
    L: AsyncRead + AsyncWrite + Unpin,
{
    let mut out = BytesMut::new();
    let body = Some(Body::Connect(Connect { port: port.into() }));
    let call = CONNECT;
    put_frame(&ToRunner { call, body }, &mut out);
    let sent = link.write_all_buf(&mut out).await;
    sent.map_err(|_| LinkError::Lost)?;
    link.flush().await.map_err(|_| LinkError::Lost)?;
    loop {
        let frame: Option<FromRunner> = frames.next().map_err(Violation::from)?;
        match frame.map(|frame| (frame.call, frame.body)) {
            Some((CONNECT, Some(from_runner::Body::Done(_)))) => return Ok(()),
            Some((CONNECT, Some(from_runner::Body::Refused(refused)))) => {
                return Err(LinkError::Refused(check::refusal(&refused)));
            }
            Some(_) => return Err(Violation::Unexpected.into()),
            None => match link.read_buf(frames.buffer()).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => return Err(LinkError::Lost),
            },
        }
    }
}
