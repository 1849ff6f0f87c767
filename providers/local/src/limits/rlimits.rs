//! Limits of a process that has no control group. They are passed on to whatever it starts.

use std::io;

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::Limits;

/// Memory and processes. CPU cannot be limited in this way.
///
/// Memory is RLIMIT_DATA, not RLIMIT_AS: runtimes that reserve address space without using it (Go,
/// Node, Java) would not start under the latter. Processes are counted by user and user namespace.
pub(super) fn apply(limits: &Limits, pid: Pid) -> io::Result<()> {
    set(pid, Resource::Data, limits.memory_bytes)?;
    set(pid, Resource::Nproc, limits.pids)
}

/// A core dump would go to the host's handler.
pub(super) fn no_core_dumps(pid: Pid) -> io::Result<()> {
    set(pid, Resource::Core, 0)
}

fn set(pid: Pid, resource: Resource, value: u64) -> io::Result<()> {
    let limit = Rlimit {
        current: Some(value),
        maximum: Some(value),
    };
    prlimit(Some(pid), resource, limit)?;
    Ok(())
}
