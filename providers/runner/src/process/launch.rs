//! Makes the process: a clone that shares our memory until it becomes the program. Unsafe because
//! no safe interface gives that, and a fork that copies page tables costs more the larger we are.
//! The rules for the child: only raw system calls, no allocation, no lock, nothing that can panic.
#![allow(unsafe_code)]

use std::{
    convert::Infallible,
    ffi::{CStr, CString, c_char, c_int, c_long, c_void},
    os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd},
    ptr,
    sync::atomic::{AtomicI32, Ordering::Relaxed},
};

use rustix::io::Errno;

use super::{failure::Stage, into_cgroup::clone_into};

/// Room for the child's calls, in bytes: it calls one function deep and puts nothing large there.
const STACK_BYTES: usize = 64 * 1024;
/// Bytes of a set of signals in the kernel.
const SET_BYTES: usize = 8;
/// The highest signal.
const SIGNALS: c_int = 64;
/// Size of the kernel's `sigaction`, with room to spare; all zero it means the default.
const DEFAULT_ACTION: [u64; 8] = [0; 8];

/// What the child is to become.
pub(super) struct Plan<'a> {
    /// Paths to try, in this order.
    pub(super) programs: &'a [CString],
    pub(super) arguments: &'a [CString],
    pub(super) environment: &'a [CString],
    pub(super) folder: &'a CStr,
    /// Input, output and error; each above 2.
    pub(super) wires: &'a [OwnedFd; 3],
    /// They are a terminal, to be the controlling one.
    pub(super) terminal: bool,
    pub(super) cgroup: Option<Cgroup<'a>>,
    /// Supplementary groups to take on.
    pub(super) groups: Option<&'a [u32]>,
    /// User and group to take on.
    pub(super) ids: Option<(u32, u32)>,
}

/// A control group to be in from the first instruction of the program.
pub(super) struct Cgroup<'a> {
    /// Its folder: a kernel that can makes the process right inside.
    pub(super) folder: BorrowedFd<'a>,
    /// Its list of members, open for writing, to join by where it cannot.
    pub(super) members: BorrowedFd<'a>,
}

/// What the child reads, ready made, and where it says how far it came.
pub(super) struct Shared<'a> {
    plan: &'a Plan<'a>,
    programs: Vec<*const c_char>,
    arguments: Vec<*const c_char>,
    environment: Vec<*const c_char>,
    wires: [RawFd; 3],
    /// List of members to join by, or -1.
    members: AtomicI32,
    stage: AtomicI32,
    errno: AtomicI32,
}

/// The stages in the child by their place here.
const STAGES: [Stage; 8] = [
    Stage::Session,
    Stage::Descriptors,
    Stage::Terminal,
    Stage::ControlGroup,
    Stage::Groups,
    Stage::User,
    Stage::Folder,
    Stage::Program,
];
/// The place of the last.
const PROGRAM: i32 = 7;

/// Starts it; answers when it has become the program. If it cannot, the step and the reason, and
/// nothing is left of it: a failed child never shows in a wait for any child.
pub(super) fn launch(plan: &Plan<'_>) -> Result<i32, (Stage, Errno)> {
    let shared = Shared {
        plan,
        programs: pointers(plan.programs),
        arguments: pointers(plan.arguments),
        environment: pointers(plan.environment),
        wires: [0, 1, 2].map(|at: usize| plan.wires[at].as_raw_fd()),
        members: AtomicI32::new(-1),
        stage: AtomicI32::new(-1),
        errno: AtomicI32::new(0),
    };
    let mut stack: Vec<u128> = Vec::with_capacity(STACK_BYTES / size_of::<u128>());
    let (all, mut before) = (u64::MAX, 0_u64);
    // SAFETY: both sets live on this stack and have the size that the kernel is told.
    unsafe { set_mask(&raw const all, &raw mut before) };
    let made = clone(&shared, &mut stack);
    // SAFETY: as above.
    unsafe { set_mask(&raw const before, ptr::null_mut()) };
    let pid = made.map_err(|errno| (Stage::Process, errno))?;
    let failed = shared.errno.load(Relaxed);
    if failed == 0 && wait_for_clone(pid, libc::WNOHANG) != pid {
        return Ok(pid);
    }
    if failed != 0 {
        wait_for_clone(pid, 0);
    }
    let stage = usize::try_from(shared.stage.load(Relaxed)).unwrap_or(0);
    let stage = STAGES.get(stage).copied().unwrap_or(Stage::Program);
    // Without a word from it, somebody killed it on its way: most likely the kernel for memory.
    let errno = if failed == 0 { libc::ENOMEM } else { failed };
    Err((stage, Errno::from_raw_os_error(errno)))
}

fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    let all = strings.iter().map(|string| string.as_ptr());
    all.chain([ptr::null()]).collect()
}

/// The child has no exit signal until it executes, which gives it the usual one. So a wait for any
/// child, in another thread, cannot take one that failed before.
fn clone(shared: &Shared<'_>, stack: &mut Vec<u128>) -> Result<i32, Errno> {
    let room = stack.spare_capacity_mut();
    if let Some(cgroup) = &shared.plan.cgroup {
        if let Ok(pid) = clone_into(cgroup.folder, room, shared) {
            return Ok(pid);
        }
        shared.members.store(cgroup.members.as_raw_fd(), Relaxed);
    }
    let top = room.as_mut_ptr_range().end.cast::<c_void>();
    let argument = ptr::from_ref(shared).cast_mut().cast::<c_void>();
    // SAFETY: the stack is ours, aligned, and lives until the call returns, which the kernel
    // delays until the child has left our memory; `child` keeps the rules above.
    let pid = unsafe { libc::clone(enter, top, libc::CLONE_VM | libc::CLONE_VFORK, argument) };
    if pid > 0 { Ok(pid) } else { Err(last_error()) }
}

/// Waits for a child only if it has not executed.
fn wait_for_clone(pid: i32, flags: c_int) -> i32 {
    loop {
        // SAFETY: no status is asked for.
        let found = unsafe { libc::waitpid(pid, ptr::null_mut(), flags | libc::__WCLONE) };
        if found >= 0 || last_error() != Errno::INTR {
            return found;
        }
    }
}

fn last_error() -> Errno {
    std::io::Error::last_os_error()
        .raw_os_error()
        .map_or(Errno::IO, Errno::from_raw_os_error)
}

unsafe fn set_mask(new: *const u64, old: *mut u64) {
    // SAFETY: the caller's. All signals, also those that the C library keeps for itself.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            new,
            old,
            SET_BYTES,
        )
    };
}

/// The child's life.
pub(super) extern "C" fn enter(argument: *mut c_void) -> c_int {
    // SAFETY: it points to the `Shared` of the thread that waits for us; we are the child.
    unsafe {
        let shared = &*argument.cast::<Shared<'_>>();
        let Err(errno) = prepare(shared).and_then(|()| become_program(shared));
        shared.errno.store(errno, Relaxed);
        // Ends only this process, and nothing of the parent's is run.
        libc::syscall(libc::SYS_exit_group, 127);
    }
    127
}

/// The answer of a raw call as a result.
unsafe fn done(result: c_long) -> Result<(), c_int> {
    if result >= 0 {
        return Ok(());
    }
    // SAFETY: errno is that of the waiting thread, which does not look at its own meanwhile.
    Err(unsafe { *libc::__errno_location() })
}

/// All steps before the program.
unsafe fn prepare(shared: &Shared<'_>) -> Result<(), c_int> {
    let plan = shared.plan;
    let step = |stage: i32| shared.stage.store(stage, Relaxed);
    // SAFETY: raw calls with numbers, and with pointers to what the waiting parent keeps alive.
    unsafe {
        for signal in 1..=SIGNALS {
            let default = DEFAULT_ACTION.as_ptr();
            libc::syscall(libc::SYS_rt_sigaction, signal, default, 0_usize, SET_BYTES);
        }
        step(0);
        done(libc::syscall(libc::SYS_setsid))?;
        step(1);
        for (wire, place) in shared.wires.iter().zip(0..) {
            done(libc::syscall(libc::SYS_dup3, *wire, place, 0))?;
        }
        step(2);
        if plan.terminal {
            done(libc::syscall(libc::SYS_ioctl, 0, libc::TIOCSCTTY, 0))?;
        }
        step(3);
        let members = shared.members.load(Relaxed);
        if members >= 0 {
            done(libc::syscall(
                libc::SYS_write,
                members,
                c"0".as_ptr(),
                1_usize,
            ))?;
        }
        take_on(plan, step)?;
        step(6);
        done(libc::syscall(libc::SYS_chdir, plan.folder.as_ptr()))?;
        libc::syscall(libc::SYS_umask, 0o022);
        // Where the kernel is too old for it: all that is ours closes on exec anyway.
        libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0);
    }
    Ok(())
}

/// Becomes the user: for this process alone, which the C library's calls would not promise.
unsafe fn take_on(plan: &Plan<'_>, step: impl Fn(i32)) -> Result<(), c_int> {
    // SAFETY: as in `prepare`.
    unsafe {
        step(4);
        if let Some(groups) = plan.groups {
            done(libc::syscall(
                libc::SYS_setgroups,
                groups.len(),
                groups.as_ptr(),
            ))?;
        }
        step(5);
        if let Some((uid, gid)) = plan.ids {
            done(libc::syscall(libc::SYS_setresgid, gid, gid, gid))?;
            done(libc::syscall(libc::SYS_setresuid, uid, uid, uid))?;
        }
    }
    Ok(())
}

/// Tries the programs; comes back only if none could be executed, with the error that says most.
unsafe fn become_program(shared: &Shared<'_>) -> Result<Infallible, c_int> {
    shared.stage.store(PROGRAM, Relaxed);
    let none = 0_u64;
    let mut worst = libc::ENOENT;
    // SAFETY: as in `prepare`; the lists end with a null.
    unsafe {
        set_mask(&raw const none, ptr::null_mut());
        for program in &shared.programs {
            if program.is_null() {
                break;
            }
            let (arguments, environment) = (shared.arguments.as_ptr(), shared.environment.as_ptr());
            let tried = libc::syscall(libc::SYS_execve, *program, arguments, environment);
            match done(tried) {
                Err(libc::ENOENT | libc::ENOTDIR) | Ok(()) => {}
                Err(libc::EACCES) => worst = libc::EACCES,
                Err(errno) => return Err(errno),
            }
        }
    }
    Err(worst)
}
