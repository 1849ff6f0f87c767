//! The way to the runner of a sandbox: a socket in a folder that code inside can write to, so that
//! what lies there is not believed before the kernel has said who listens.

use std::{io, path::Path, time::Duration};

use rustix::{
    fd::{AsRawFd as _, OwnedFd},
    fs::{CWD, FileType, Mode, OFlags, fstat, openat},
};
use sandgate_runner_proto::{
    FROM_RUNNER_BYTES, FrameReader, HIGHEST_VERSION, LOWEST_VERSION, put_frame,
    v1::{FromRunner, Hello, ToRunner, Welcome, from_runner, to_runner},
};
use thiserror::Error;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    time::timeout,
};

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
    let socket = socket(folder)?;
    // The socket itself, whatever is at its path by now.
    let path = format!("/proc/self/fd/{}", socket.as_raw_fd());
    let stream = timeout(CONNECT, UnixStream::connect(path))
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    let listener = stream.peer_cred()?.pid();
    // Asked last: while it lives, nobody else has its number.
    if listener == Some(init.pid()) && init.is_alive() {
        Ok(stream)
    } else {
        Err(NoWay::Stranger(listener))
    }
}

fn socket(folder: &Path) -> Result<OwnedFd, NoWay> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = openat(CWD, folder, flags | OFlags::DIRECTORY, Mode::empty());
    let folder = folder.map_err(io::Error::from)?;
    let socket = openat(&folder, SOCKET, flags, Mode::empty()).map_err(io::Error::from)?;
    let found = fstat(&socket).map_err(io::Error::from)?;
    if FileType::from_raw_mode(found.st_mode) == FileType::Socket {
        Ok(socket)
    } else {
        Err(NoWay::NoSocket)
    }
}

/// Greets the runner and has it say who it is. The caller bounds the time.
pub(crate) async fn greet(stream: &mut UnixStream) -> Result<Welcome, NoWay> {
    let hello = Hello {
        lowest_version: LOWEST_VERSION,
        highest_version: HIGHEST_VERSION,
        ..Hello::default()
    };
    let body = Some(to_runner::Body::Hello(hello));
    let mut bytes = Vec::new();
    put_frame(&ToRunner { call: 1, body }, &mut bytes);
    stream.write_all(&bytes).await?;
    let mut frames = FrameReader::new(FROM_RUNNER_BYTES);
    loop {
        let frame = frames.next::<FromRunner>().map_err(|_| NoWay::Protocol)?;
        match frame.map(|frame| frame.body) {
            Some(Some(from_runner::Body::Welcome(welcome))) => return Ok(welcome),
            Some(_) => return Err(NoWay::Protocol),
            None => {}
        }
        if stream.read_buf(frames.buffer()).await? == 0 {
            return Err(NoWay::Protocol);
        }
    }
}

#[cfg(test)]
#[path = "control_tests.rs"]
mod tests;
