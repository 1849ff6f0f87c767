//! Removes the control groups that providers leave empty for their next sandboxes: in a run each
//! has a name of its own, and there is no next.

use std::fs;

/// Removes all below the control groups' roots whose name begins so. One that is in use stays.
pub(super) fn clean(name: &str) {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    for root in roots(&mounts) {
        let entries = fs::read_dir(root).into_iter().flatten().flatten();
        for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(name)) {
            // Those of containers that the engine removed in the provider's place are in it.
            for inner in fs::read_dir(entry.path()).into_iter().flatten().flatten() {
                let _ = fs::remove_dir(inner.path());
            }
            let _ = fs::remove_dir(entry.path());
        }
    }
}

fn roots(mounts: &str) -> impl Iterator<Item = &str> {
    mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (path, kind) = (fields.next()?, fields.next()?);
        kind.starts_with("cgroup").then_some(path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_have_roots() {
        let mounts =
            "proc /proc proc rw 0 0\ncgroup2 /a cgroup2 rw 0 0\ncgroup /b/c cgroup rw 0 0\n";
        assert_eq!(roots(mounts).collect::<Vec<_>>(), ["/a", "/b/c"]);
    }
}
