//! What connects a process with the runner: pipes, or a terminal.

use std::{
    ffi::OsStr,
    fs::File,
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::{ffi::OsStrExt, fs::OpenOptionsExt},
    },
};

use rustix::{
    fs::{OFlags, Uid, fchown},
    io::{fcntl_dupfd_cloexec, ioctl_fionbio},
    pipe::{PipeFlags, pipe_with},
    pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, ptsname, unlockpt},
    termios::{InputModes, OptionalActions, Winsize, tcgetattr, tcsetattr, tcsetwinsize},
};

/// Both ends of everything; theirs are blocking, ours are not, all close on exec.
pub(super) struct Wires {
    /// The child's input, output and error.
    pub(super) theirs: [OwnedFd; 3],
    pub(super) stdin: Option<OwnedFd>,
    pub(super) stdout: Option<OwnedFd>,
    pub(super) stderr: Option<OwnedFd>,
    pub(super) terminal: Option<OwnedFd>,
}

impl Wires {
    /// Pipes for output and error, and for input if it is wanted.
    pub(super) fn pipes(stdin: bool) -> io::Result<Self> {
        let (input, stdin) = if stdin {
            let (theirs, ours) = pipe_with(PipeFlags::CLOEXEC)?;
            (theirs, Some(ours))
        } else {
            (nothing()?, None)
        };
        let (stdout, output) = pipe_with(PipeFlags::CLOEXEC)?;
        let (stderr, error) = pipe_with(PipeFlags::CLOEXEC)?;
        for ours in [&stdout, &stderr].into_iter().chain(&stdin) {
            ioctl_fionbio(ours, true)?;
        }
        Ok(Self {
            theirs: [above(input)?, above(output)?, above(error)?],
            stdin,
            stdout: Some(stdout),
            stderr: Some(stderr),
            terminal: None,
        })
    }

    /// A terminal of this size for all three.
    pub(super) fn terminal(rows: u16, cols: u16) -> io::Result<Self> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let slave = above(slave(&master)?)?;
        let mut modes = tcgetattr(&slave)?;
        // So that erasing takes away a whole character of more than one byte.
        modes.input_modes |= InputModes::IUTF8;
        tcsetattr(&slave, OptionalActions::Now, &modes)?;
        resize(master.as_fd(), rows, cols)?;
        ioctl_fionbio(&master, true)?;
        let theirs = [
            fcntl_dupfd_cloexec(&slave, 3)?,
            fcntl_dupfd_cloexec(&slave, 3)?,
            slave,
        ];
        Ok(Self {
            theirs,
            stdin: None,
            stdout: None,
            stderr: None,
            terminal: Some(master),
        })
    }

    /// Gives the child's ends to its user, so that it may open /dev/stdout or its terminal again.
    /// Where that is not permitted, only this does not work.
    pub(super) fn give_to(&self, uid: u32) {
        let first = usize::from(self.stdin.is_none() && self.terminal.is_none());
        for end in &self.theirs[first..] {
            let _ = fchown(end, Some(Uid::from_raw(uid)), None);
        }
    }
}

/// What a process without input reads from: nothing.
pub(super) fn nothing() -> io::Result<OwnedFd> {
    match File::options()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open("/dev/null")
    {
        Ok(null) => Ok(null.into()),
        // A pipe that nobody writes to ends at once, too.
        Err(_) => Ok(pipe_with(PipeFlags::CLOEXEC)?.0),
    }
}

/// Sets the size of a terminal; the kernel tells who runs on it by SIGWINCH.
pub(crate) fn resize(terminal: BorrowedFd<'_>, rows: u16, cols: u16) -> io::Result<()> {
    let size = Winsize {
        ws_row: rows,
        ws_col: cols,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    Ok(tcsetwinsize(terminal, size)?)
}

/// The other end of a terminal, from the kernel; only where it cannot, by its path.
fn slave(master: &OwnedFd) -> io::Result<OwnedFd> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    if let Ok(slave) = ioctl_tiocgptpeer(master, flags) {
        return Ok(slave);
    }
    let name = ptsname(master, Vec::new())?;
    let slave = File::options()
        .read(true)
        .write(true)
        .custom_flags(OFlags::NOCTTY.bits().cast_signed())
        .open(OsStr::from_bytes(name.as_bytes()))?;
    Ok(slave.into())
}

/// The same, not below 3: the child puts its ends to 0, 1 and 2 one after the other.
fn above(end: OwnedFd) -> io::Result<OwnedFd> {
    use std::os::fd::AsRawFd;
    if end.as_raw_fd() > 2 {
        return Ok(end);
    }
    Ok(fcntl_dupfd_cloexec(&end, 3)?)
}
