//! The way to a runner on an engine that shares no host with us: one command inside the container
//! that copies between its input and output and the runner's socket, kept open.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bollard::{
    Docker,
    container::LogOutput,
    errors::Error,
    exec::{CreateExecOptions, StartExecOptions, StartExecResults},
};
use bytes::{Buf as _, Bytes};
use futures::Stream;
use sandgate_kit::{Kind, ProviderError};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{call, runner};

/// Buffer for what comes, bytes: frames of output are about as large.
const BUFFER: usize = 256 * 1024;
/// What the command says of a failure that goes into the log, bytes.
const SAID: usize = 512;

type Output = Pin<Box<dyn Stream<Item = Result<LogOutput, Error>> + Send>>;
type Input = Pin<Box<dyn AsyncWrite + Send>>;

/// An open bridge. Dropped, it ends.
pub struct Bridge {
    output: Output,
    input: Input,
    /// Came, but not yet read.
    held: Bytes,
}

/// Opens a bridge into a running container.
pub(crate) async fn open(docker: &Docker, id: &str) -> Result<Bridge, ProviderError> {
    let command = [runner::PROGRAM, "bridge", "--socket", runner::SOCKET];
    let options = CreateExecOptions {
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        tty: Some(false),
        privileged: Some(false),
        user: Some("0:0".to_owned()),
        working_dir: Some("/".to_owned()),
        cmd: Some(command.map(str::to_owned).to_vec()),
        ..Default::default()
    };
    let created = call::CREATE_EXEC
        .run(docker.create_exec(id, options))
        .await?;
    let options = StartExecOptions {
        detach: false,
        tty: false,
        output_capacity: Some(BUFFER),
    };
    let started = call::START_EXEC
        .run(docker.start_exec(&created.id, Some(options)))
        .await?;
    match started {
        StartExecResults::Attached { output, input } => Ok(Bridge {
            output,
            input,
            held: Bytes::new(),
        }),
        StartExecResults::Detached => Err(ProviderError::new(
            Kind::Internal,
            "the engine did not attach to the bridge; repeat the call, and look at the engine's log if it fails again",
        )),
    }
}

impl AsyncRead for Bridge {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.held.is_empty() {
            match ready!(self.output.as_mut().poll_next(context)) {
                None => return Poll::Ready(Ok(())),
                Some(Ok(LogOutput::StdErr { message })) => {
                    let said = String::from_utf8_lossy(&message[..message.len().min(SAID)]);
                    tracing::debug!(%said, "a bridge ends");
                }
                Some(Ok(other)) => self.held = other.into_bytes(),
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
            }
        }
        let size = self.held.len().min(buffer.remaining());
        buffer.put_slice(&self.held[..size]);
        self.held.advance(size);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Bridge {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.input.as_mut().poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.input.as_mut().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.input.as_mut().poll_shutdown(context)
    }
}
