//! The first words with a runner: Hello, and the frame that answers it.

use std::io;

use bytes::{Bytes, BytesMut};
use sandgate_runner_proto::{
    Broken, FROM_RUNNER_BYTES, FrameReader, HIGHEST_VERSION, LOWEST_VERSION, put_frame,
    v1::{FromRunner, Hello, ToRunner, Welcome, from_runner, to_runner::Body},
};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::calls::HELLO;
use crate::CallContext;

/// Why a runner was not greeted.
#[derive(Debug, Error)]
pub enum GreetError {
    /// The stream failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The stream ended without an answer.
    #[error("the runner is not there yet")]
    Ended,
    /// What came is no frame.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// The runner does not let us in; its own word for why.
    #[error("refused: {0:?}")]
    Refused(String),
    /// Something other than a welcome came.
    #[error("an answer of another kind")]
    Other,
}

/// Greets the runner at the other end, to see that it is there, without saying which sandbox it
/// is. For a provider that has just started it; the caller bounds the time.
///
/// # Errors
/// Where that does not welcome us.
pub async fn greet<L>(link: &mut L, secret: Bytes) -> Result<Welcome, GreetError>
where
    L: AsyncRead + AsyncWrite + Unpin,
{
    let hello = Hello { secret, ..hello() };
    let mut frames = FrameReader::new(FROM_RUNNER_BYTES);
    match exchange(link, hello, &mut frames).await?.body {
        Some(from_runner::Body::Welcome(welcome)) => Ok(welcome),
        Some(from_runner::Body::Refused(refused)) => Err(GreetError::Refused(refused.reason)),
        _ => Err(GreetError::Other),
    }
}

/// A Hello with the versions that the kit speaks.
pub(crate) fn hello() -> Hello {
    Hello {
        lowest_version: LOWEST_VERSION,
        highest_version: HIGHEST_VERSION,
        ..Hello::default()
    }
}

/// The same to the runner of the sandbox that the context names.
pub(super) fn hello_to(context: &CallContext, secret: Bytes) -> Hello {
    Hello {
        sandbox_id: context.sandbox_id.clone(),
        generation: context.generation,
        secret,
        ..hello()
    }
}

/// Sends a Hello, and reads the first frame that comes back.
pub(super) async fn exchange<L>(
    link: &mut L,
    hello: Hello,
    frames: &mut FrameReader,
) -> Result<FromRunner, GreetError>
where
    L: AsyncRead + AsyncWrite + Unpin,
{
    let mut out = BytesMut::new();
    let (call, body) = (HELLO, Some(Body::Hello(hello)));
    put_frame(&ToRunner { call, body }, &mut out);
    link.write_all_buf(&mut out).await?;
    link.flush().await?;
    loop {
        if let Some(frame) = frames.next()? {
            return Ok(frame);
        }
        if link.read_buf(frames.buffer()).await? == 0 {
            return Err(GreetError::Ended);
        }
    }
}
