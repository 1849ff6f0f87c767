//! Terminals: the end that envd holds.

use std::{
    fs::{File, OpenOptions},
    io,
    os::{
        fd::OwnedFd,
        unix::fs::{OpenOptionsExt as _, fchown},
    },
};

use rustix::{
    fs::{OFlags, fcntl_setfl},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};
use tokio::io::unix::AsyncFd;

use super::super::users::User;

/// A terminal.
#[derive(Debug)]
pub(super) struct Terminal(AsyncFd<OwnedFd>);

impl Terminal {
    /// A new one, and the end that its processes hold, which is the user's.
    ///
    /// # Errors
    /// Where the system has none to give.
    pub(super) fn open(size: (u16, u16), user: &User) -> io::Result<(Self, File)> {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&ours)?;
        unlockpt(&ours)?;
        let name = ptsname(&ours, Vec::new())?;
        let name = name.to_str().map_err(io::Error::other)?;
        let noctty = i32::try_from(OFlags::NOCTTY.bits()).map_err(io::Error::other)?;
        let mut options = OpenOptions::new();
        let theirs = options
            .read(true)
            .write(true)
            .custom_flags(noctty)
            .open(name)?;
        fchown(&theirs, Some(user.uid), Some(user.gid))?;
        fcntl_setfl(&ours, OFlags::RDWR | OFlags::NONBLOCK)?;
        #[allow(deprecated, reason = "the other one is unsafe; this fd is ours alone")]
        let terminal = Self(AsyncFd::new(ours)?);
        terminal.resize(size)?;
        Ok((terminal, theirs))
    }

    /// Sets columns and rows.
    pub(super) fn resize(&self, (columns, rows): (u16, u16)) -> io::Result<()> {
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        Ok(tcsetwinsize(self.0.get_ref(), size)?)
    }

    /// What is printed next; nothing: nobody holds the other end any more.
    pub(super) async fn read(&self, buffer: &mut [u8]) -> usize {
        loop {
            let Ok(mut ready) = self.0.readable().await else {
                return 0;
            };
            let read = ready.try_io(|fd| Ok(rustix::io::read(fd.get_ref(), &mut *buffer)?));
            match read {
                Ok(Ok(length)) => return length,
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                // The system's way to say that all have closed it.
                Ok(Err(_)) => return 0,
                Err(_) => {}
            }
        }
    }

    /// Types.
    ///
    /// # Errors
    /// Where nobody is there to read.
    pub(super) async fn write(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let mut ready = self.0.writable().await?;
            match ready.try_io(|fd| Ok(rustix::io::write(fd.get_ref(), bytes)?)) {
                Ok(Ok(length)) => bytes = &bytes[length..],
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(Err(error)) => return Err(error),
                Err(_) => {}
            }
        }
        Ok(())
    }
}
