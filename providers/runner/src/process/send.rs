//! Sends signals, also the real-time ones, which the safe interface does not let through. Unsafe
//! only for that: the kernel checks the numbers.
#![allow(unsafe_code)]

use std::{
    os::fd::{AsRawFd, BorrowedFd},
    ptr,
};

/// To a process by its number. The caller knows that the number is not reused.
pub(super) fn to_pid(pid: i32, signal: i32) -> bool {
    // SAFETY: takes numbers only. Not to a group, nor to everybody.
    pid > 1 && unsafe { libc::kill(pid, signal) } == 0
}

/// To a process group by the number of its leader.
pub(super) fn to_group(leader: i32, signal: i32) -> bool {
    // SAFETY: takes numbers only.
    leader > 1 && unsafe { libc::killpg(leader, signal) } == 0
}

/// To the process that this descriptor stands for, or to nobody if it is gone.
pub(super) fn to_handle(handle: BorrowedFd<'_>, signal: i32) -> bool {
    let no_details = ptr::null::<libc::siginfo_t>();
    // SAFETY: an open descriptor, numbers, and a null pointer, which the call allows.
    unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            handle.as_raw_fd(),
            signal,
            no_details,
            0,
        ) == 0
    }
}
