//! A byte stream to a runner, over whichever transport its container was made for.

pub(crate) mod bridge;
pub(crate) mod socket;

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::UnixStream,
};

use self::bridge::Bridge;

/// A byte stream to the runner of one container.
pub enum Link {
    /// Through the folder that is shared with the container.
    Socket(UnixStream),
    /// Through a command that the engine runs inside.
    Bridge(Bridge),
}

impl AsyncRead for Link {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Socket(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Bridge(bridge) => Pin::new(bridge).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Link {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Socket(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Bridge(bridge) => Pin::new(bridge).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Socket(stream) => Pin::new(stream).poll_flush(context),
            Self::Bridge(bridge) => Pin::new(bridge).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Socket(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Bridge(bridge) => Pin::new(bridge).poll_shutdown(context),
        }
    }
}
