//! The files of control groups: one group a sandbox, with its limits, and one below which the runner
//! gives each execution its own, so that it can end what an execution started.

use std::{
    collections::HashSet,
    fs::{self, File},
    io,
    os::{fd::OwnedFd, unix::fs::chown},
    path::{Path, PathBuf},
};

use rustix::process::Pid;

use super::Limits;
use crate::identity::HostUser;

/// Period over which CPU time is measured, microseconds; the kernel's default.
const PERIOD: u64 = 100_000;

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
    /// Those with limits.
    hierarchies: Vec<Hierarchy>,
    /// The group that is ours where processes can be ended for certain; may be one of the others.
    kills: Option<PathBuf>,
}

impl Tree {
    pub(super) const fn new(hierarchies: Vec<Hierarchy>, kills: Option<PathBuf>) -> Self {
        Self { hierarchies, kills }
    }

    /// Whether trees of processes can be ended for certain.
    pub(super) const fn kills(&self) -> bool {
        self.kills.is_some()
    }

    /// Makes the groups of a sandbox, if need be, and sets its limits. `user` may make groups inside
    /// the one that is for killing, and move its own processes there.
    pub(super) fn sandbox(
        &self,
        name: &str,
        limits: &Limits,
        user: Option<HostUser>,
    ) -> io::Result<Group> {
        let mut group = Group::default();
        for hierarchy in &self.hierarchies {
            let path = hierarchy.path.join(name);
            make(&path)?;
            for (file, value, needed) in hierarchy.knobs(limits) {
                match fs::write(path.join(file), value) {
                    Err(error) if needed => return Err(error),
                    _ => {}
                }
            }
            if hierarchy.controllers.iter().any(|name| name == "memory") {
                let file = if hierarchy.unified {
                    "memory.events"
                } else {
                    "memory.oom_control"
                };
                group.oom = Some(path.join(file)).filter(|path| path.exists());
            }
            group.folders.push(path);
        }
        if let Some(kills) = &self.kills {
            let path = kills.join(name);
            make(&path)?;
            if let Some(user) = user {
                // The kernel asks for the right to write to the members of the group above both.
                for path in [&path, &path.join("cgroup.procs")] {
                    chown(path, Some(user.id), Some(user.id))?;
                }
            }
            group.kills = Some(File::open(&path)?.into());
            if !group.folders.contains(&path) {
                group.folders.push(path);
            }
        }
        Ok(group)
    }

    /// Removes the groups of a sandbox and those in them.
    pub(super) fn forget(&self, sandbox: &str) -> io::Result<()> {
        self.tops().try_for_each(|top| remove(&top.join(sandbox)))
    }

    /// Removes the groups of all sandboxes but these.
    pub(super) fn clear(&self, kept: &HashSet<String>) -> io::Result<()> {
        for top in self.tops() {
            for child in children(top)? {
                let name = child.file_name().unwrap_or_default();
                if !kept.contains(&*name.to_string_lossy()) {
                    remove(&child)?;
                }
            }
        }
        Ok(())
    }

    /// Names of all groups of sandboxes.
    pub(super) fn names(&self) -> io::Result<HashSet<String>> {
        let mut names = HashSet::new();
        for top in self.tops() {
            let all = children(top)?.into_iter();
            names.extend(all.filter_map(|child| child.file_name()?.to_str().map(str::to_owned)));
        }
        Ok(names)
    }

    /// Removes the tops if no sandbox is left in them.
    pub(super) fn close(&self) {
        for top in self.tops() {
            let _ = fs::remove_dir(top);
        }
    }

    fn tops(&self) -> impl Iterator<Item = &Path> {
        let limits = self.hierarchies.iter().map(|hierarchy| &hierarchy.path);
        let kills = self
            .kills
            .iter()
            .filter(|kills| self.hierarchies.iter().all(|one| one.path != **kills));
        limits.chain(kills).map(PathBuf::as_path)
    }
}

impl Drop for Tree {
    /// Sandboxes that live on keep theirs, and the tops with them.
    fn drop(&mut self) {
        self.close();
    }
}

/// The groups of one sandbox.
#[derive(Debug, Default)]
pub(crate) struct Group {
    folders: Vec<PathBuf>,
    /// The folder below which the runner may make groups of its own.
    pub(crate) kills: Option<OwnedFd>,
    /// The file that counts processes ended for want of memory.
    pub(crate) oom: Option<PathBuf>,
}

impl Group {
    /// Moves a process into them; what it starts later follows.
    pub(super) fn add(&self, pid: Pid) -> io::Result<()> {
        let pid = pid.as_raw_nonzero().to_string();
        self.folders
            .iter()
            .try_for_each(|folder| fs::write(folder.join("cgroup.procs"), &pid))
    }
}

fn make(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Removes a group and those in it; fails with `ResourceBusy` while a process is in one. Its files
/// go with it.
fn remove(path: &Path) -> io::Result<()> {
    for child in children(path)? {
        remove(&child)?;
    }
    match fs::remove_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn children(path: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    Ok(found)
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
        let kills = folder.path().join(if unified { "" } else { "freezer" });
        fs::create_dir_all(&kills).unwrap();
        (folder, Tree::new(vec![hierarchy], Some(kills)))
    }

    #[test]
    fn limits_are_written_as_each_version_wants_them() {
        let (folder, tree_2) = tree(true);
        tree_2.sandbox("s", &LIMITS, None).unwrap();
        let read = |name: &str| fs::read_to_string(folder.path().join("s").join(name)).unwrap();
        assert_eq!(read("memory.max"), "1048576");
        assert_eq!(read("memory.swap.max"), "0");
        assert_eq!(read("cpu.max"), "150000 100000");
        assert_eq!(read("pids.max"), "7");

        let (folder, tree_1) = tree(false);
        tree_1.sandbox("s", &LIMITS, None).unwrap();
        let read = |name: &str| fs::read_to_string(folder.path().join("s").join(name)).unwrap();
        assert_eq!(read("memory.limit_in_bytes"), "1048576");
        assert_eq!(read("cpu.cfs_quota_us"), "150000");
        assert_eq!(read("pids.max"), "7");
    }

    #[test]
    fn groups_go_unless_their_sandbox_is_kept() {
        let (folder, tree) = tree(false);
        for name in ["gone", "kept"] {
            for top in ["", "freezer"] {
                fs::create_dir_all(folder.path().join(top).join(name).join("e1")).unwrap();
            }
        }
        tree.clear(&["kept", "freezer"].map(str::to_owned).into())
            .unwrap();
        for top in ["", "freezer"] {
            assert!(!folder.path().join(top).join("gone").exists());
            assert!(folder.path().join(top).join("kept/e1").exists());
        }
        assert!(tree.names().unwrap().contains("kept"));
        tree.forget("kept").unwrap();
        tree.forget("kept").unwrap();
        assert!(!folder.path().join("freezer/kept").exists());
    }
}
