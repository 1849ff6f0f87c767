//! A clone right into a control group: joining later makes the kernel wait 0.4 ms for all threads.
//! Unsafe because the C library has no call that does this on a stack of its own.
#![allow(unsafe_code)]

use std::{
    arch::asm,
    mem::MaybeUninit,
    os::fd::{AsRawFd, BorrowedFd},
    ptr,
};

use rustix::io::Errno;

use super::launch::{Shared, enter};

const INTO_CGROUP: u64 = 0x2_0000_0000;

/// The kernel's `clone_args`.
#[repr(C)]
#[derive(Default)]
struct Arguments {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// Makes the child in the group of this folder; an old kernel or a filter may refuse.
pub(super) fn clone_into(
    folder: BorrowedFd<'_>,
    stack: &mut [MaybeUninit<u128>],
    shared: &Shared<'_>,
) -> Result<i32, Errno> {
    let arguments = Arguments {
        flags: u64::from((libc::CLONE_VM | libc::CLONE_VFORK).cast_unsigned()) | INTO_CGROUP,
        stack: stack.as_mut_ptr() as u64,
        stack_size: size_of_val(stack) as u64,
        cgroup: u64::from(folder.as_raw_fd().cast_unsigned()),
        ..Arguments::default()
    };
    // SAFETY: the stack is ours and lives until the call returns, which the kernel delays until the
    // child has left our memory; `enter` does not return in the child.
    let made = unsafe { clone3(&arguments, ptr::from_ref(shared).cast()) };
    match i32::try_from(made) {
        Ok(pid) if pid > 0 => Ok(pid),
        Ok(errno) => Err(Errno::from_raw_os_error(errno.wrapping_neg())),
        Err(_) => Err(Errno::INVAL),
    }
}

#[cfg(target_arch = "x86_64")]
unsafe fn clone3(arguments: &Arguments, shared: *const u8) -> i64 {
    let mut made = libc::SYS_clone3;
    // SAFETY: the child has its own stack, aligned to 16, and never comes back here.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, {shared}",
            "call {enter}",
            "ud2",
            "2:",
            shared = in(reg) shared,
            enter = in(reg) enter as *const () ,
            inlateout("rax") made,
            in("rdi") ptr::from_ref(arguments),
            in("rsi") size_of::<Arguments>(),
            out("rcx") _,
            out("r11") _,
        );
    }
    made
}

#[cfg(target_arch = "aarch64")]
unsafe fn clone3(arguments: &Arguments, shared: *const u8) -> i64 {
    let made: i64;
    // SAFETY: the child has its own stack, aligned to 16, and never comes back here.
    unsafe {
        asm!(
            "svc #0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x0, {shared}",
            "blr {enter}",
            "brk #1",
            "2:",
            shared = in(reg) shared,
            enter = in(reg) enter as *const (),
            inlateout("x0") ptr::from_ref(arguments) => made,
            in("x1") size_of::<Arguments>(),
            in("x8") libc::SYS_clone3,
        );
    }
    made
}
