//! Commands of a provider that was killed before it could end them.
//!
//! `--die-with-parent` ends them where they run as the provider's own user. Where they run as
//! another one, the kernel does not deliver that signal from bwrap to the namespace's init.

use std::{collections::HashSet, fs, io};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use uuid::Uuid;

/// Ends every process that has the workspace of one of `sandboxes` mounted as its own, and tells how
/// many there were. Ids are global, so it can be nobody else's.
pub(crate) fn end(sandboxes: &[Uuid]) -> io::Result<usize> {
    let sandboxes: HashSet<String> = sandboxes
        .iter()
        .map(|id| id.as_hyphenated().to_string())
        .collect();
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
        let mounts = fs::read_to_string(format!("/proc/{}/mountinfo", pid.as_raw_nonzero()));
        if mounts.is_ok_and(|mounts| mounts.lines().any(|line| is_ours(line, &sandboxes)))
            && pidfd_send_signal(process, Signal::KILL).is_ok()
        {
            ended += 1;
        }
    }
    Ok(ended)
}

/// Whether a line of mountinfo is the workspace of one of them: `… /data/local/ID/workspace
/// /workspace …`.
fn is_ours(line: &str, sandboxes: &HashSet<String>) -> bool {
    let mut fields = line.split(' ').skip(3);
    let (Some(source), Some("/workspace")) = (fields.next(), fields.next()) else {
        return false;
    };
    let id = source
        .strip_suffix("/workspace")
        .and_then(|folder| folder.rsplit('/').next());
    id.is_some_and(|id| sandboxes.contains(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_mounted_workspace_of_ours_counts() {
        let id = Uuid::from_u128(1).to_string();
        let ours = HashSet::from([id.clone()]);
        assert!(is_ours(
            &format!("9 8 0:1 /d/local/{id}/workspace /workspace rw - ext4 x rw"),
            &ours
        ));
        assert!(!is_ours(
            &format!("9 8 0:1 /d/local/{id}/home /home/sandbox rw - ext4 x rw"),
            &ours
        ));
        let other = Uuid::from_u128(2);
        assert!(!is_ours(
            &format!("9 8 0:1 /d/{other}/workspace /workspace rw - ext4 x rw"),
            &ours
        ));
        assert!(!is_ours("9 8 0:1 / / rw - ext4 x rw", &ours));
    }
}
