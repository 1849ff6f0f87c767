//! Copies between standard input and output and a socket, until either side ends.

use std::{
    io,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
    path::Path,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
};

/// Of each direction, in bytes.
const BUFFER: usize = 64 * 1024;

/// One direction.
struct Flow<'a> {
    from: BorrowedFd<'a>,
    to: BorrowedFd<'a>,
    buffer: Vec<u8>,
    /// What of the buffer is filled, and what of that is written.
    filled: usize,
    written: usize,
    at_end: bool,
}

impl<'a> Flow<'a> {
    fn new(from: BorrowedFd<'a>, to: BorrowedFd<'a>) -> Self {
        Self {
            from,
            to,
            buffer: vec![0; BUFFER],
            filled: 0,
            written: 0,
            at_end: false,
        }
    }

    /// What to wait for: bytes, or room for those that are there.
    fn wanted(&self) -> PollFd<'a> {
        if self.filled == 0 {
            PollFd::from_borrowed_fd(self.from, PollFlags::IN)
        } else {
            PollFd::from_borrowed_fd(self.to, PollFlags::OUT)
        }
    }

    /// Copies what can be copied now.
    fn copy(&mut self) -> io::Result<()> {
        loop {
            while self.written < self.filled {
                match rustix::io::write(self.to, &self.buffer[self.written..self.filled]) {
                    Ok(size) => self.written += size,
                    Err(Errno::AGAIN) => return Ok(()),
                    Err(Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            (self.filled, self.written) = (0, 0);
            match rustix::io::read(self.from, &mut self.buffer[..]) {
                Ok(0) => {
                    self.at_end = true;
                    return Ok(());
                }
                Ok(size) => self.filled = size,
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Connects from inside the folder, since the whole path may be longer than an address can be.
pub(crate) fn connect(path: &Path) -> io::Result<UnixStream> {
    match (path.parent(), path.file_name()) {
        (Some(folder), Some(name)) if !folder.as_os_str().is_empty() => {
            rustix::process::chdir(folder)?;
            UnixStream::connect(name)
        }
        _ => UnixStream::connect(path),
    }
}

/// Copies until either side ends.
pub(crate) fn run(path: &Path) -> io::Result<()> {
    let socket = connect(path)?;
    let (input, output) = (rustix::stdio::stdin(), rustix::stdio::stdout());
    for fd in [input, output, socket.as_fd()] {
        rustix::io::ioctl_fionbio(fd, true)?;
    }
    let mut flows = [
        Flow::new(input, socket.as_fd()),
        Flow::new(socket.as_fd(), output),
    ];
    loop {
        let mut waiting = [flows[0].wanted(), flows[1].wanted()];
        match poll(&mut waiting, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for flow in &mut flows {
            match flow.copy() {
                Ok(()) if !flow.at_end => {}
                // The other side went away, which is the usual end.
                Ok(()) => return Ok(()),
                Err(error) => match error.kind() {
                    io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => return Ok(()),
                    _ => return Err(error),
                },
            }
        }
    }
}
