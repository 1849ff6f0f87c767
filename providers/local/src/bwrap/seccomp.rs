//! System calls that a sandbox does not get.
//!
//! What container engines refuse by default (<https://docs.docker.com/engine/security/seccomp>), and
//! what makes new namespaces, since a user namespace is the first step of most ways out. A list of
//! what is refused, not of what is allowed: programs that are newer than this list run. Programs of
//! another architecture (32-bit ones) are killed, for their calls have other numbers.

use std::collections::BTreeMap;

use libc::{ENOSYS, EPERM};
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch,
};

/// Answered with EPERM.
const REFUSED: &[i64] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_bpf,
    libc::SYS_chroot,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_fanotify_init,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_init_module,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_nfsservctl,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_pivot_root,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_umount2,
    libc::SYS_userfaultfd,
    libc::SYS_vhangup,
];

#[cfg(target_arch = "x86_64")]
const REFUSED_HERE: &[i64] = &[
    libc::SYS__sysctl,
    libc::SYS_ioperm,
    libc::SYS_iopl,
    libc::SYS_lookup_dcookie,
    libc::SYS_sysfs,
    libc::SYS_uselib,
    libc::SYS_ustat,
];
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_HERE: &[i64] = &[];

/// Answered with ENOSYS, so that callers take their older way: clone3 has its flags in memory, where
/// no filter sees them, and io_uring does system calls that no filter sees.
const ABSENT: &[i64] = &[
    libc::SYS_clone3,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
];

/// Flags of clone and unshare that make namespaces.
const NAMESPACES: [i32; 7] = [
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWUTS,
];
/// The eighth, in linux/sched.h; as a flag of clone it is part of the exit signal's byte.
const CLONE_NEWTIME: u64 = 0x80;

/// Requests of ioctl that put words into the mouth of a terminal's owner: asm-generic/ioctls.h, and
/// uapi/linux/tiocl.h by way of ioctl_console(2).
const TIOCSTI: u64 = 0x5412;
const TIOCLINUX: u64 = 0x541c;

/// Bit of the calls of the x32 ABI, which on x86_64 share the architecture's number.
const X32: i64 = 0x4000_0000;
/// Calls on the list that have a number of their own there (arch/x86/entry/syscalls): kexec_load.
const X32_ONLY: i64 = 528;
/// ioctl has one, too.
const X32_IOCTL: i64 = 514;

/// Both programs, as bwrap reads them.
#[derive(Debug)]
pub(super) struct Filters {
    refused: Vec<u8>,
    absent: Vec<u8>,
}

impl Filters {
    /// Compiles them for this machine.
    pub(super) fn new() -> Result<Self, BackendError> {
        Ok(Self {
            refused: compiled(refused()?, EPERM)?,
            absent: compiled(rules(ABSENT), ENOSYS)?,
        })
    }

    /// Refuses with EPERM.
    pub(super) fn refused(&self) -> &[u8] {
        &self.refused
    }

    /// Acts as an older kernel.
    pub(super) fn absent(&self) -> &[u8] {
        &self.absent
    }
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn rules(calls: &[i64]) -> Rules {
    calls.iter().map(|call| (*call, Vec::new())).collect()
}

fn refused() -> Result<Rules, BackendError> {
    let mut all = rules(REFUSED);
    all.append(&mut rules(REFUSED_HERE));
    let namespaces = || -> Result<Vec<SeccompRule>, BackendError> {
        NAMESPACES
            .iter()
            .map(|flag| has_bit(*flag as u64))
            .collect()
    };
    all.insert(libc::SYS_clone, namespaces()?);
    let mut unshare = namespaces()?;
    unshare.push(has_bit(CLONE_NEWTIME)?);
    all.insert(libc::SYS_unshare, unshare);
    all.insert(
        libc::SYS_ioctl,
        vec![equals(1, TIOCSTI)?, equals(1, TIOCLINUX)?],
    );
    // Reaches the host of a virtual machine, and is in no network namespace.
    all.insert(libc::SYS_socket, vec![equals(0, libc::AF_VSOCK as u64)?]);
    Ok(all)
}

fn has_bit(bit: u64) -> Result<SeccompRule, BackendError> {
    let test = SeccompCmpOp::MaskedEq(bit);
    SeccompRule::new(vec![SeccompCondition::new(
        0,
        SeccompCmpArgLen::Qword,
        test,
        bit,
    )?])
}

/// Compares the low half: the kernel takes these as 32 bits and ignores the rest.
fn equals(argument: u8, value: u64) -> Result<SeccompRule, BackendError> {
    let half = SeccompCmpArgLen::Dword;
    SeccompRule::new(vec![SeccompCondition::new(
        argument,
        half,
        SeccompCmpOp::Eq,
        value,
    )?])
}

fn compiled(mut rules: Rules, errno: i32) -> Result<Vec<u8>, BackendError> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    if architecture == TargetArch::x86_64 {
        let twins = rules
            .iter()
            .map(|(call, rules)| (call | X32, rules.clone()));
        let mut twins: Rules = twins.collect();
        if rules.contains_key(&libc::SYS_kexec_load) {
            twins.insert(X32_ONLY | X32, Vec::new());
        }
        if let Some(ioctl) = rules.get(&libc::SYS_ioctl) {
            twins.insert(X32_IOCTL | X32, ioctl.clone());
        }
        rules.append(&mut twins);
    }
    let denied = SeccompAction::Errno(errno.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, denied, architecture)?;
    let program = BpfProgram::try_from(filter)?;
    // As `struct sock_filter` of linux/filter.h lies in memory.
    let instruction = |op: &seccompiler::sock_filter| {
        let [code_low, code_high] = op.code.to_ne_bytes();
        let [a, b, c, d] = op.k.to_ne_bytes();
        [code_low, code_high, op.jt, op.jf, a, b, c, d]
    };
    Ok(program.iter().flat_map(instruction).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_programs_are_small_enough_for_the_kernel() {
        let filters = Filters::new().unwrap();
        for program in [filters.refused(), filters.absent()] {
            assert_eq!(program.len() % 8, 0);
            // BPF_MAXINSNS
            assert!((1..=4096).contains(&(program.len() / 8)));
        }
    }
}
