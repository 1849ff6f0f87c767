//! What needs `unsafe`: no safe wrapper has signalfd or gives a child its mask of signals, rustix cannot say the peer pid 0, which is what a
//! caller from outside our pid namespace has, and a descriptor that was inherited is only a number.
#![allow(unsafe_code)]

use std::{
    io, mem,
    os::{
        fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
        unix::process::CommandExt as _,
    },
    process::Command,
    ptr,
};

/// Blocks these signals for this thread and those that it starts, and gives a non-blocking
/// descriptor from which [`next_signal`] takes them. Call it before any thread is started.
pub(crate) fn take_signals(signals: &[i32]) -> io::Result<OwnedFd> {
    // SAFETY: the set is plain data, filled by the calls that own its layout.
    unsafe {
        let mut set: libc::sigset_t = mem::zeroed();
        libc::sigemptyset(&mut set);
        for signal in signals {
            libc::sigaddset(&mut set, *signal);
        }
        if libc::pthread_sigmask(libc::SIG_BLOCK, &set, ptr::null_mut()) != 0 {
            return Err(io::Error::last_os_error());
        }
        let fd = libc::signalfd(-1, &set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Has a program start with no signal blocked, whatever is blocked here.
pub(crate) fn unblock_signals(command: &mut Command) {
    let unblock = || {
        // SAFETY: calls that may stand between fork and exec, on plain data of this stack.
        let errno = unsafe {
            let mut none: libc::sigset_t = mem::zeroed();
            libc::sigemptyset(&mut none);
            libc::pthread_sigmask(libc::SIG_SETMASK, &none, ptr::null_mut())
        };
        match errno {
            0 => Ok(()),
            errno => Err(io::Error::from_raw_os_error(errno)),
        }
    };
    // SAFETY: as above; it allocates nothing and takes no lock.
    unsafe { command.pre_exec(unblock) };
}

/// The next signal that waits, if any.
pub(crate) fn next_signal(signals: BorrowedFd<'_>) -> Option<i32> {
    let size = mem::size_of::<libc::signalfd_siginfo>();
    // SAFETY: the kernel writes one such structure, plain data, and says how much it wrote.
    unsafe {
        let mut info: libc::signalfd_siginfo = mem::zeroed();
        let read = libc::read(signals.as_raw_fd(), (&raw mut info).cast(), size);
        (usize::try_from(read) == Ok(size)).then_some(info.ssi_signo.cast_signed())
    }
}

/// Pid and uid of the other end of a unix socket when it connected; pid 0: outside our namespace.
pub(crate) fn peer(socket: BorrowedFd<'_>) -> io::Result<(i32, u32)> {
    let mut length = mem::size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes into plain data of that size.
    unsafe {
        let mut found: libc::ucred = mem::zeroed();
        let result = libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut found).cast(),
            &mut length,
        );
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok((found.pid, found.uid))
    }
}

/// A descriptor that this process was started with, by its number, which is above the usual three.
pub(crate) fn inherited(number: i32) -> io::Result<OwnedFd> {
    // SAFETY: asks about a number, whatever it stands for.
    if number < 3 || unsafe { libc::fcntl(number, libc::F_GETFD) } < 0 {
        return Err(io::ErrorKind::NotFound.into());
    }
    // SAFETY: it is open, and nobody else here knows of it: it was there before the program began.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
