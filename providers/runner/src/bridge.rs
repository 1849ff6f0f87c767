//! Copies between standard input and output and a socket. The end of the input is passed on, that of
//! the socket is the end of all.

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
    net::Shutdown,
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

/// Copies until the socket's other side ends, or nobody reads the output.
pub(crate) fn run(path: &Path) -> io::Result<()> {
    let socket = connect(path)?;
    let (input, output) = (rustix::stdio::stdin(), rustix::stdio::stdout());
    for fd in [input, output, socket.as_fd()] {
        rustix::io::ioctl_fionbio(fd, true)?;
    }
    let mut into = Flow::new(input, socket.as_fd());
    let mut out = Flow::new(socket.as_fd(), output);
    while !out.at_end {
        // The last is told only when it breaks.
        let unread = PollFd::from_borrowed_fd(output, PollFlags::empty());
        let mut waiting = vec![out.wanted(), unread];
        waiting.extend((!into.at_end).then(|| into.wanted()));
        match poll(&mut waiting, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        if waiting[1].revents().contains(PollFlags::ERR) {
            return Ok(());
        }
        drop(waiting);
        let copied = out.copy().and_then(|()| pass_on(&mut into, &socket));
        match copied.map_err(|error| (error.kind(), error)) {
            Ok(()) => {}
            // The other side went away, which is the usual end.
            Err((io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset, _)) => return Ok(()),
            Err((_, error)) => return Err(error),
        }
    }
    Ok(())
}

/// Copies what comes in, and its end.
fn pass_on(into: &mut Flow<'_>, socket: &UnixStream) -> io::Result<()> {
    if !into.at_end {
        into.copy()?;
        if into.at_end {
            rustix::net::shutdown(socket, Shutdown::Write)?;
        }
    }
    Ok(())
}
