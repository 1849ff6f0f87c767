//! The way to the runner of a sandbox: a socket in a folder that code inside can write to, so that
//! what lies there is not believed before the kernel has said who listens.

use std::{io, path::Path, time::Duration};

use sandgate_kit::{GreetError, SocketError, connect_inside};
use thiserror::Error;
use tokio::{net::UnixStream, time::timeout};

use crate::init::Init;

/// Name of the socket in its folder.
pub(crate) const SOCKET: &str = "runner.sock";

/// How long connecting may take; the backlog of a socket may be full.
const CONNECT: Duration = Duration::from_secs(2);

/// Why there is no way to the runner.
#[derive(Debug, Error)]
pub(crate) enum NoWay {
    /// Something on the way failed.
    #[error("the socket cannot be reached")]
    Io(#[from] io::Error),
    /// There is something else in its place.
    #[error("what lies in place of the socket is none")]
    NoSocket,
    /// Somebody else listens there.
    #[error("process {0:?} listens at the socket, and not the sandbox's first one")]
    Stranger(Option<i32>),
    /// It does not speak the runner's protocol.
    #[error("the runner does not answer as one")]
    Protocol,
}

/// Connects to the runner that is the process `init`. Follows no symbolic link.
pub(crate) async fn connect(folder: &Path, init: &Init) -> Result<UnixStream, NoWay> {
    let (stream, listener) = timeout(CONNECT, connect_inside(folder, SOCKET))
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    // Asked last: while it lives, nobody else has its number.
    if listener == Some(init.pid()) && init.is_alive() {
        Ok(stream)
    } else {
        Err(NoWay::Stranger(listener))
    }
}

impl From<SocketError> for NoWay {
    fn from(error: SocketError) -> Self {
        match error {
            SocketError::Io(error) => Self::Io(error),
            SocketError::Other(_) => Self::NoSocket,
        }
    }
}

impl From<GreetError> for NoWay {
    fn from(error: GreetError) -> Self {
        match error {
            GreetError::Io(error) => Self::Io(error),
            _ => Self::Protocol,
        }
    }
}

#[cfg(test)]
#[path = "control_tests.rs"]
mod tests;
