//! Sandboxes that a provider had begun to start when it was killed: nobody knows of them, and they
//! may be without limits.

use std::{collections::HashMap, fs, io};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use uuid::Uuid;

/// Ends every first process of a namespace that has the workspace of one of these sandboxes mounted
/// as its own, but the one that is known of each; tells how many there were. Ids are global, so it
/// can be nobody else's.
pub(crate) fn end(sandboxes: &HashMap<Uuid, Option<i32>>) -> io::Result<usize> {
    let mut ended = 0;
    if sandboxes.is_empty() {
        return Ok(ended);
    }
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.parse().ok());
        let Some(pid) = number.and_then(Pid::from_raw) else {
            continue;
        };
        // The descriptor first, so that what is killed is what was read about.
        let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else {
            continue;
        };
        let read = |file| fs::read_to_string(format!("/proc/{}/{file}", pid.as_raw_pid()));
        if !read("status").is_ok_and(|status| is_first(&status)) {
            continue;
        }
        let mounts = read("mountinfo").unwrap_or_default();
        let Some(sandbox) = mounts.lines().find_map(workspace_of) else {
            continue;
        };
        let unknown = |known: &Option<i32>| *known != Some(pid.as_raw_pid());
        if sandboxes.get(&sandbox).is_some_and(unknown)
            && pidfd_send_signal(process, Signal::KILL).is_ok()
        {
            ended += 1;
        }
    }
    Ok(ended)
}

/// Whether a process is the first of a pid namespace below ours, by its status.
fn is_first(status: &str) -> bool {
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    let mut numbers = numbers.unwrap_or_default().split_ascii_whitespace();
    numbers.next().is_some() && numbers.next_back() == Some("1")
}

/// Whose workspace a line of mountinfo is: `… /data/local/ID/workspace /workspace …`.
fn workspace_of(line: &str) -> Option<Uuid> {
    let mut fields = line.split(' ').skip(3);
    let source = fields.next()?.strip_suffix("/workspace")?;
    if fields.next() != Some("/workspace") {
        return None;
    }
    Uuid::try_parse(source.rsplit('/').next()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_mounted_workspace_counts() {
        let id = Uuid::from_u128(1);
        let of = |mount: &str| workspace_of(&format!("9 8 0:1 {mount} rw - ext4 x rw"));
        assert_eq!(of(&format!("/d/local/{id}/workspace /workspace")), Some(id));
        assert_eq!(of(&format!("/d/local/{id}/home /home/sandbox")), None);
        assert_eq!(of(&format!("/d/local/{id}/workspace /elsewhere")), None);
        assert_eq!(of("/ /"), None);
    }

    #[test]
    fn only_the_first_of_a_namespace_below_counts() {
        assert!(is_first("Pid:\t77\nNSpid:\t77\t1\n"));
        for status in ["NSpid:\t1\n", "NSpid:\t77\t12\n", "Pid:\t77\n", ""] {
            assert!(!is_first(status), "{status}");
        }
    }
}
