//! The way to a runner through the folder that is shared with its container. Root inside can put
//! anything there, so no link is followed, and whoever answers has to be the container's PID 1.

use std::{io, path::Path};

use rustix::fs::FileType;
use sandgate_kit::{SocketError, connect_inside};
use thiserror::Error;
use tokio::net::UnixStream;

use crate::runner;

/// Why nobody is trusted there.
#[derive(Debug, Error)]
pub(crate) enum NoRunner {
    /// There is no socket yet, or nobody listens.
    #[error("the runner's socket cannot be opened: {0}")]
    Absent(#[source] io::Error),
    /// There is something else in its place.
    #[error("in place of the runner's socket there is a {0:?}")]
    NotASocket(FileType),
    /// Somebody else listens.
    #[error("process {found:?} listens in place of the runner, which is {expected}")]
    Stranger {
        /// Who listens.
        found: Option<i32>,
        /// The container's PID 1, as the host numbers it.
        expected: i32,
    },
}

impl NoRunner {
    /// Whether somebody inside has put something else there.
    pub(crate) const fn is_replaced(&self) -> bool {
        matches!(self, Self::NotASocket(_) | Self::Stranger { .. })
    }
}

/// Connects to the runner whose socket is in a folder.
///
/// # Errors
/// Where there is no socket, or its listener is not `pid`.
pub(crate) async fn connect(folder: &Path, pid: i32) -> Result<UnixStream, NoRunner> {
    let (stream, found) = connect_inside(folder, runner::SOCKET_NAME).await?;
    if found != Some(pid) || pid <= 0 {
        return Err(NoRunner::Stranger {
            found,
            expected: pid,
        });
    }
    Ok(stream)
}

impl From<SocketError> for NoRunner {
    fn from(error: SocketError) -> Self {
        match error {
            SocketError::Io(error) => Self::Absent(error),
            SocketError::Other(kind) => Self::NotASocket(kind),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use tokio::net::UnixListener;

    use super::*;

    fn own_pid() -> i32 {
        std::process::id().cast_signed()
    }

    #[tokio::test]
    async fn only_the_right_listener_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let absent = connect(folder.path(), own_pid()).await.unwrap_err();
        assert!(matches!(absent, NoRunner::Absent(_)), "{absent}");
        let path = folder.path().join("control");
        let _listener = UnixListener::bind(&path).unwrap();
        connect(folder.path(), own_pid()).await.unwrap();
        for pid in [1, 0, -1] {
            let stranger = connect(folder.path(), pid).await.unwrap_err();
            assert!(stranger.is_replaced(), "{stranger}");
        }
        let other = folder.path().join("other");
        fs::rename(&path, &other).unwrap();
        symlink(&other, &path).unwrap();
        let linked = connect(folder.path(), own_pid()).await.unwrap_err();
        assert!(matches!(linked, NoRunner::NotASocket(FileType::Symlink)));
        fs::remove_file(&path).unwrap();
        fs::write(&path, "").unwrap();
        assert!(
            connect(folder.path(), own_pid())
                .await
                .unwrap_err()
                .is_replaced()
        );
    }

    #[tokio::test]
    async fn a_long_path_and_a_linked_folder() {
        let folder = tempfile::tempdir().unwrap();
        let long = folder.path().join("x".repeat(200));
        fs::create_dir(&long).unwrap();
        let near = folder.path().join("near");
        let _listener = UnixListener::bind(&near).unwrap();
        fs::rename(&near, long.join("control")).unwrap();
        connect(&long, own_pid()).await.unwrap();
        let link = folder.path().join("link");
        symlink(&long, &link).unwrap();
        assert!(connect(&link, own_pid()).await.is_err());
    }
}
