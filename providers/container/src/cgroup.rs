//! Control groups of this host that sandboxes get for their commands, so that the end of a process
//! tree is certain.

use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use crate::config::Cgroup;

/// Where the kernel lists what is mounted.
const MOUNTS: &str = "/proc/self/mounts";
/// Controllers that limit sandboxes. Where the one hierarchy has them, a command in a group beside
/// its container would run without limits.
const LIMITING: [&str; 3] = ["memory", "cpu", "pids"];
/// Groups that a sandbox may make, so that it cannot use up the kernel's.
const MOST_GROUPS: &str = "4096";
/// Tries to remove a group whose processes are just ending, and the time between two.
const TRIES: usize = 50;
const PAUSE: Duration = Duration::from_millis(10);

/// A folder in which groups of sandboxes can be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Groups(PathBuf);

impl Groups {
    /// Finds it; none where it is not wanted, or this provider may not make groups.
    pub(crate) fn find(wanted: Cgroup, prefix: &str) -> Option<Self> {
        if wanted == Cgroup::Off {
            return None;
        }
        let mounts = fs::read_to_string(MOUNTS).ok()?;
        let found = candidates(&mounts)
            .into_iter()
            .map(|root| root.join(prefix));
        found
            .filter(|folder| folder.parent().is_some_and(|root| !limits(root)))
            .find(|folder| fs::create_dir_all(folder).is_ok() && is_writable(folder))
            .map(Self)
    }

    /// Makes the group of a container, or empties the one that is there.
    pub(crate) fn prepare(&self, name: &str) -> io::Result<PathBuf> {
        let folder = self.0.join(name);
        prepare(&folder)?;
        Ok(folder)
    }

    /// Removes the group of a container that has no processes any more.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        remove(&self.0.join(name))
    }
}

/// Has a group there, without others in it, before its container starts.
pub(crate) fn prepare(folder: &Path) -> io::Result<()> {
    remove(folder)?;
    fs::create_dir_all(folder)?;
    let limit = folder.join("cgroup.max.descendants");
    if limit.exists() {
        fs::write(limit, MOST_GROUPS)?;
    }
    Ok(())
}

/// Version 2 first, then the freezer of version 1.
fn candidates(mounts: &str) -> Vec<PathBuf> {
    let of = |wanted: fn(&str, &str) -> bool| {
        mounts.lines().filter_map(move |line| {
            let mut fields = line.split(' ').skip(1);
            let (path, kind, options) = (fields.next()?, fields.next()?, fields.next()?);
            wanted(kind, options).then(|| PathBuf::from(path))
        })
    };
    of(|kind, _| kind == "cgroup2")
        .chain(of(|kind, options| {
            kind == "cgroup" && options.split(',').any(|option| option == "freezer")
        }))
        .collect()
}

fn limits(root: &Path) -> bool {
    let controllers = fs::read_to_string(root.join("cgroup.controllers")).unwrap_or_default();
    controllers
        .split_whitespace()
        .any(|controller| LIMITING.contains(&controller))
}

fn is_writable(folder: &Path) -> bool {
    let trial = folder.join(format!(".try-{}", std::process::id()));
    let made = fs::create_dir(&trial).is_ok();
    // What was just made is empty.
    let _ = fs::remove_dir(&trial);
    made
}

/// Removes a group and those in it. A killed process leaves its group a little after its end.
fn remove(folder: &Path) -> io::Result<()> {
    let mut left = TRIES;
    loop {
        match remove_once(folder) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy && left > 0 => {
                left -= 1;
                thread::sleep(PAUSE);
            }
            done => return done,
        }
    }
}

/// Deepest first; a group holds no files that could be removed.
fn remove_once(folder: &Path) -> io::Result<()> {
    let (mut seen, mut next) = (vec![folder.to_owned()], 0);
    while let Some(path) = seen.get(next).cloned() {
        next += 1;
        let entries = match fs::read_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                seen.push(entry.path());
            }
        }
    }
    for path in seen.iter().rev() {
        match fs::remove_dir(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIXED: &str = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\ncgroup /sys/fs/cgroup/freezer cgroup rw,relatime,freezer 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";

    #[test]
    fn the_newer_version_comes_first() {
        let wanted = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup/freezer"];
        assert_eq!(candidates(MIXED), wanted.map(PathBuf::from));
        assert!(candidates("proc /proc proc rw 0 0\n").is_empty());
        assert_eq!(Groups::find(Cgroup::Off, "x"), None);
    }

    #[test]
    fn a_hierarchy_that_limits_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        assert!(!limits(root.path()));
        fs::write(root.path().join("cgroup.controllers"), "hugetlb misc\n").unwrap();
        assert!(!limits(root.path()));
        fs::write(
            root.path().join("cgroup.controllers"),
            "cpuset cpu io memory\n",
        )
        .unwrap();
        assert!(limits(root.path()));
    }

    #[test]
    fn groups_in_a_group_go_first() {
        let root = tempfile::tempdir().unwrap();
        let groups = Groups(root.path().to_owned());
        let made = groups.prepare("one").unwrap();
        fs::create_dir_all(made.join("e1/x/y")).unwrap();
        fs::create_dir(made.join("e2")).unwrap();
        groups.remove("one").unwrap();
        groups.remove("one").unwrap();
        assert!(!made.exists());
    }
}
