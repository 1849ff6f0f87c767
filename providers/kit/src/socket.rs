//! A socket in a folder that code in a sandbox can write to. Nothing that lies there is believed:
//! no link is followed, and the kernel says who listens.

use std::{io, os::fd::AsRawFd as _, path::Path};

use rustix::{
    fd::OwnedFd,
    fs::{CWD, FileType, Mode, OFlags, fstat, openat},
};
use thiserror::Error;
use tokio::net::UnixStream;

/// Why a socket in such a folder cannot be connected to.
#[derive(Debug, Error)]
pub enum SocketError {
    /// It is not there, or nobody listens.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// There is something else in its place.
    #[error("in place of the socket there is a {0:?}")]
    Other(FileType),
}

/// Connects to the socket `name` in `folder`, and says which process listens, as far as the kernel
/// tells. Nothing is sent: the caller decides whether that is the right one. Has no deadline.
///
/// # Errors
/// Where there is no socket that listens.
pub async fn connect_inside(
    folder: &Path,
    name: &str,
) -> Result<(UnixStream, Option<i32>), SocketError> {
    let socket = open(folder, name)?;
    // By its descriptor: what was looked at is what is connected to, however long its path is.
    let path = format!("/proc/self/fd/{}", socket.as_raw_fd());
    let stream = UnixStream::connect(path).await?;
    let listener = stream.peer_cred()?.pid();
    Ok((stream, listener))
}

fn open(folder: &Path, name: &str) -> Result<OwnedFd, SocketError> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = openat(CWD, folder, flags | OFlags::DIRECTORY, Mode::empty());
    let folder = folder.map_err(io::Error::from)?;
    let socket = openat(&folder, name, flags, Mode::empty()).map_err(io::Error::from)?;
    let found = fstat(&socket).map_err(io::Error::from)?;
    match FileType::from_raw_mode(found.st_mode) {
        FileType::Socket => Ok(socket),
        other => Err(SocketError::Other(other)),
    }
}
