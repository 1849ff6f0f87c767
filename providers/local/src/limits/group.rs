//! The files of control groups: one group a sandbox with its limits, in it one an execution, which
//! tells whose process the kernel ended.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::process::Pid;

use super::Limits;

/// Period over which CPU time is measured, microseconds; the kernel's default.
const PERIOD: u64 = 100_000;

/// How long the end of a provider may wait for processes that were killed.
const LAST: Duration = Duration::from_secs(1);

/// One mounted tree of groups: the only one of version 2, or one of several of version 1.
#[derive(Debug)]
pub(super) struct Hierarchy {
    /// The group that is ours.
    pub(super) path: PathBuf,
    pub(super) controllers: Vec<String>,
    pub(super) unified: bool,
}

/// A file of a group, what goes into it, and whether it must be there.
type Knob = (&'static str, String, bool);

impl Hierarchy {
    /// Documented in Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/ of the kernel. Swap is
    /// not there on kernels that do not count it.
    fn knobs(&self, limits: &Limits) -> Vec<Knob> {
        let memory = limits.memory_bytes.to_string();
        // No less than a thousandth of a second in each period, or the kernel refuses.
        let quota = (limits.cpu_millis * PERIOD / 1000).max(1000);
        let mut knobs = Vec::new();
        for controller in &self.controllers {
            match (controller.as_str(), self.unified) {
                ("memory", true) => {
                    knobs.push(("memory.max", memory.clone(), true));
                    knobs.push(("memory.swap.max", "0".into(), false));
                }
                ("memory", false) => {
                    knobs.push(("memory.limit_in_bytes", memory.clone(), true));
                    knobs.push(("memory.memsw.limit_in_bytes", memory.clone(), false));
                }
                ("cpu", true) => knobs.push(("cpu.max", format!("{quota} {PERIOD}"), true)),
                ("cpu", false) => {
                    knobs.push(("cpu.cfs_period_us", PERIOD.to_string(), true));
                    knobs.push(("cpu.cfs_quota_us", quota.to_string(), true));
                }
                ("pids", _) => knobs.push(("pids.max", limits.pids.to_string(), true)),
                _ => {}
            }
        }
        knobs
    }
}

/// All our groups.
#[derive(Debug)]
pub(super) struct Tree {
    hierarchies: Vec<Hierarchy>,
    next: AtomicU64,
}

impl Tree {
    pub(super) const fn new(hierarchies: Vec<Hierarchy>) -> Self {
        Self {
            hierarchies,
            next: AtomicU64::new(0),
        }
    }

    /// Makes the group of a sandbox, if need be, and sets its limits.
    pub(super) fn sandbox(&self, name: &str, limits: &Limits) -> io::Result<()> {
        for hierarchy in &self.hierarchies {
            let path = hierarchy.path.join(name);
            match fs::create_dir(&path) {
                // Made by an execution before, with the same limits.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                made => made?,
            }
            for (file, value, needed) in hierarchy.knobs(limits) {
                match fs::write(path.join(file), value) {
                    Err(error) if needed => return Err(error),
                    _ => {}
                }
            }
            if hierarchy.unified {
                fs::write(path.join("cgroup.subtree_control"), "+memory")?;
            }
        }
        Ok(())
    }

    /// Makes a group for one execution in that of its sandbox.
    pub(super) fn execution(&self, sandbox: &str) -> io::Result<Group> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut group = Group {
            folders: Vec::new(),
        };
        for hierarchy in &self.hierarchies {
            let path = hierarchy.path.join(sandbox).join(format!("run-{number}"));
            fs::create_dir(&path)?;
            group.folders.push(path);
        }
        Ok(group)
    }

    /// Removes the group of a sandbox and those in it.
    pub(super) fn forget(&self, sandbox: &str) -> io::Result<()> {
        self.hierarchies
            .iter()
            .try_for_each(|hierarchy| remove(&hierarchy.path.join(sandbox)))
    }

    /// Removes every group of a sandbox.
    pub(super) fn clear(&self) -> io::Result<()> {
        self.hierarchies
            .iter()
            .try_for_each(|hierarchy| remove_inner(&hierarchy.path))
    }
}

impl Drop for Tree {
    /// The last commands may have been killed just now; the kernel needs some moments to be done
    /// with them. Nobody comes after this to remove their groups, but the next start.
    fn drop(&mut self) {
        let deadline = Instant::now() + LAST;
        let removed = || {
            self.hierarchies
                .iter()
                .all(|hierarchy| remove(&hierarchy.path).is_ok())
        };
        while !removed() && Instant::now() < deadline {
            sleep(Duration::from_millis(5));
        }
    }
}

/// The group of one execution. Removed when dropped, if it is empty by then.
#[derive(Debug)]
pub(crate) struct Group {
    folders: Vec<PathBuf>,
}

impl Group {
    /// Moves a process into it; what it starts later follows.
    pub(super) fn add(&self, pid: Pid) -> io::Result<()> {
        let pid = pid.as_raw_nonzero().to_string();
        self.folders
            .iter()
            .try_for_each(|folder| fs::write(folder.join("cgroup.procs"), &pid))
    }

    /// How many of its processes the kernel has ended for want of memory.
    pub(crate) fn oom_kills(&self) -> u64 {
        let count = |file: PathBuf| {
            let text = fs::read_to_string(file).ok()?;
            text.lines()
                .find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse::<u64>().ok())
        };
        // Version 2 and version 1.
        let files = ["memory.events", "memory.oom_control"];
        let all = self
            .folders
            .iter()
            .flat_map(|folder| files.map(|file| folder.join(file)));
        all.filter_map(count).sum()
    }

    /// Removes it; fails with `ResourceBusy` while a process is in it.
    pub(crate) fn remove(&self) -> io::Result<()> {
        self.folders
            .iter()
            .try_for_each(|folder| gone(fs::remove_dir(folder)))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = self.remove();
    }
}

/// Removes a group and those in it. Its files go with it.
fn remove(path: &Path) -> io::Result<()> {
    remove_inner(path)?;
    gone(fs::remove_dir(path))
}

fn remove_inner(path: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

fn gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        memory_bytes: 1 << 20,
        cpu_millis: 1500,
        pids: 7,
    };

    fn tree(unified: bool) -> (tempfile::TempDir, Tree) {
        let folder = tempfile::tempdir().unwrap();
        let controllers = ["memory", "pids", "cpu"].map(str::to_owned).into();
        let hierarchy = Hierarchy {
            path: folder.path().to_owned(),
            controllers,
            unified,
        };
        (folder, Tree::new(vec![hierarchy]))
    }

    #[test]
    fn limits_are_written_as_each_version_wants_them() {
        let (folder, tree_2) = tree(true);
        tree_2.sandbox("s", &LIMITS).unwrap();
        let read = |name: &str| fs::read_to_string(folder.path().join("s").join(name)).unwrap();
        assert_eq!(read("memory.max"), "1048576");
        assert_eq!(read("memory.swap.max"), "0");
        assert_eq!(read("cpu.max"), "150000 100000");
        assert_eq!(read("pids.max"), "7");

        let (folder, tree_1) = tree(false);
        tree_1.sandbox("s", &LIMITS).unwrap();
        let read = |name: &str| fs::read_to_string(folder.path().join("s").join(name)).unwrap();
        assert_eq!(read("memory.limit_in_bytes"), "1048576");
        assert_eq!(read("cpu.cfs_quota_us"), "150000");
        assert_eq!(read("pids.max"), "7");
    }

    #[test]
    fn an_execution_has_a_group_of_its_own_and_tells_what_was_killed_in_it() {
        let (folder, tree) = tree(true);
        tree.sandbox("s", &LIMITS).unwrap();
        let group = tree.execution("s").unwrap();
        let path = folder.path().join("s/run-0");
        fs::write(
            path.join("memory.events"),
            "low 0\noom 3\noom_kill 2\noom_group_kill 0\n",
        )
        .unwrap();
        assert_eq!(group.oom_kills(), 2);
        fs::remove_file(path.join("memory.events")).unwrap();
        group.remove().unwrap();
        group.remove().unwrap();
        assert!(!path.exists());
    }
}
