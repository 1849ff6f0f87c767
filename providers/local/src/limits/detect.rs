//! Which control groups this process may use.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rustix::fs::{Access, access};

use super::{
    Mechanism,
    group::{Hierarchy, Tree},
};

/// Controllers that the limits need; without `cpu` the others are still worth it.
const NEEDED: [&str; 2] = ["memory", "pids"];
const WANTED: [&str; 3] = ["memory", "pids", "cpu"];

/// What was found. Looking changes nothing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A folder of cgroup v2 in which groups can be made.
    V2(PathBuf),
    /// Hierarchies of cgroup v1, each with the controllers that it has.
    V1(Vec<(PathBuf, Vec<String>)>),
    /// Nothing usable.
    Nothing,
}

/// Looks at this machine.
pub(crate) fn detect() -> Found {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let root = rustix::process::geteuid().is_root();
    found(
        &read("/proc/self/mountinfo"),
        &read("/proc/self/cgroup"),
        root,
    )
}

/// A folder where root can make groups whose processes can all be ended: version 2, with or without
/// controllers, else the freezer of version 1.
pub(super) fn kills() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    rustix::process::geteuid()
        .is_root()
        .then(|| kills_in(&mounts))?
}

fn kills_in(mounts: &str) -> Option<PathBuf> {
    let mounts = || mounts.lines().filter_map(Mount::parse);
    let freezer = |mount: &Mount| mount.options.split(',').any(|option| option == "freezer");
    mounts()
        .filter(|mount| mount.kind == "cgroup2")
        .chain(mounts().filter(freezer))
        .map(|mount| mount.path)
        .find(|path| writable(path))
}

fn found(mounts: &str, own: &str, root: bool) -> Found {
    let mounts: Vec<Mount> = mounts.lines().filter_map(Mount::parse).collect();
    for mount in mounts.iter().filter(|mount| mount.kind == "cgroup2") {
        let own = own
            .lines()
            .find_map(|line| line.strip_prefix("0::/"))
            .unwrap_or_default();
        let own = mount.path.join(own);
        // Root takes the top as container engines do: its own group mostly has other processes in
        // it, and a group with processes cannot be divided.
        let candidates = if root {
            vec![mount.path.clone(), own]
        } else {
            vec![own]
        };
        if let Some(folder) = candidates.into_iter().find(|folder| divisible(folder)) {
            return Found::V2(folder);
        }
    }
    let hierarchies: Vec<_> = mounts
        .iter()
        .filter(|mount| mount.kind == "cgroup" && writable(&mount.path))
        .map(|mount| (mount.path.clone(), mount.controllers()))
        .filter(|(_, controllers)| !controllers.is_empty())
        .collect();
    let has = |name: &&str| {
        hierarchies
            .iter()
            .any(|(_, had)| had.iter().any(|one| one == name))
    };
    if NEEDED.iter().all(has) {
        Found::V1(hierarchies)
    } else {
        Found::Nothing
    }
}

impl Found {
    /// What it amounts to.
    pub(crate) const fn mechanism(&self) -> Mechanism {
        match self {
            Self::V2(_) => Mechanism::CgroupV2,
            Self::V1(_) => Mechanism::CgroupV1,
            Self::Nothing => Mechanism::Rlimits,
        }
    }

    /// Makes the groups below which all others will be. `kills`: where groups for killing can be
    /// made, if not among those with limits.
    pub(super) fn prepare(self, name: &str, kills: Option<PathBuf>) -> io::Result<Tree> {
        let mut kills = kills.map(|folder| folder.join(name));
        let hierarchies = match self {
            Self::Nothing => Vec::new(),
            Self::V2(folder) => {
                divide(&folder, name)?;
                let path = folder.join(name);
                make(&path)?;
                let controllers = had(&path, "cgroup.controllers");
                enable(&path)?;
                kills = Some(path.clone());
                vec![Hierarchy {
                    path,
                    controllers,
                    unified: true,
                }]
            }
            Self::V1(all) => {
                let mut hierarchies = Vec::new();
                for (folder, controllers) in all {
                    let path = folder.join(name);
                    make(&path)?;
                    hierarchies.push(Hierarchy {
                        path,
                        controllers,
                        unified: false,
                    });
                }
                hierarchies
            }
        };
        if kills.as_deref().is_some_and(|kills| make(kills).is_err()) {
            kills = None;
        }
        Ok(Tree::new(hierarchies, kills))
    }
}

/// Whether groups with limits can be made in a folder of cgroup v2.
fn divisible(folder: &Path) -> bool {
    let controllers = had(folder, "cgroup.controllers");
    let complete = NEEDED
        .iter()
        .all(|name| controllers.iter().any(|one| one == name));
    complete && writable(folder) && (enabled(folder) || !is_inner(folder) || alone(folder))
}

/// Hands the controllers on to the groups in `folder`. A group with processes of its own cannot do
/// so: where this process is its only one, it moves down first.
fn divide(folder: &Path, name: &str) -> io::Result<()> {
    if enabled(folder) {
        return Ok(());
    }
    if is_inner(folder) && alone(folder) {
        let leaf = folder.join(format!("{name}-provider"));
        make(&leaf)?;
        fs::write(leaf.join("cgroup.procs"), "0")?;
    }
    enable(folder)
}

fn enable(folder: &Path) -> io::Result<()> {
    let controllers = had(folder, "cgroup.controllers");
    let wanted = WANTED
        .iter()
        .filter(|name| controllers.iter().any(|one| one == *name));
    let line: Vec<String> = wanted.map(|name| format!("+{name}")).collect();
    fs::write(folder.join("cgroup.subtree_control"), line.join(" "))
}

fn enabled(folder: &Path) -> bool {
    let handed_on = had(folder, "cgroup.subtree_control");
    NEEDED
        .iter()
        .all(|name| handed_on.iter().any(|one| one == name))
}

/// Only the very top has no type, and it alone may have processes and groups at once.
fn is_inner(folder: &Path) -> bool {
    folder.join("cgroup.type").exists()
}

fn alone(folder: &Path) -> bool {
    had(folder, "cgroup.procs") == [std::process::id().to_string()]
}

fn had(folder: &Path, file: &str) -> Vec<String> {
    let text = fs::read_to_string(folder.join(file)).unwrap_or_default();
    text.split_whitespace().map(str::to_owned).collect()
}

fn writable(folder: &Path) -> bool {
    access(folder, Access::WRITE_OK).is_ok()
}

fn make(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// A line of /proc/self/mountinfo, see proc_pid_mountinfo(5).
struct Mount {
    path: PathBuf,
    kind: String,
    options: String,
}

impl Mount {
    fn parse(line: &str) -> Option<Self> {
        let (place, system) = line.split_once(" - ")?;
        let path = place.split(' ').nth(4)?;
        let mut system = system.split(' ');
        let kind = system.next()?.to_owned();
        let options = system.nth(1)?.to_owned();
        Some(Self {
            path: PathBuf::from(path),
            kind,
            options,
        })
    }

    fn controllers(&self) -> Vec<String> {
        let ours = self
            .options
            .split(',')
            .filter(|option| WANTED.contains(option));
        ours.map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v2(folder: &Path, controllers: &str, subtree: &str) -> String {
        fs::write(folder.join("cgroup.controllers"), controllers).unwrap();
        fs::write(folder.join("cgroup.subtree_control"), subtree).unwrap();
        format!(
            "30 23 0:26 / {} rw,nosuid - cgroup2 cgroup2 rw",
            folder.display()
        )
    }

    #[test]
    fn version_2_is_taken_where_it_has_the_controllers() {
        let folder = tempfile::tempdir().unwrap();
        let mounts = v2(folder.path(), "cpuset cpu io memory pids", "");
        assert_eq!(
            found(&mounts, "0::/", true),
            Found::V2(folder.path().to_owned())
        );
        let bare = v2(folder.path(), "", "");
        assert_eq!(found(&bare, "0::/", true), Found::Nothing);
    }

    #[test]
    fn an_ordinary_user_needs_a_group_that_was_given_to_it_alone() {
        let folder = tempfile::tempdir().unwrap();
        let mounts = v2(folder.path(), "cpu memory pids", "");
        let own = folder.path().join("user/app");
        fs::create_dir_all(&own).unwrap();
        v2(&own, "cpu memory pids", "");
        fs::write(own.join("cgroup.type"), "domain").unwrap();
        fs::write(own.join("cgroup.procs"), "1\n2\n").unwrap();
        assert_eq!(found(&mounts, "0::/user/app", false), Found::Nothing);
        fs::write(
            own.join("cgroup.procs"),
            format!("{}\n", std::process::id()),
        )
        .unwrap();
        assert_eq!(
            found(&mounts, "0::/user/app", false),
            Found::V2(own.clone())
        );
        fs::write(own.join("cgroup.procs"), "1\n2\n").unwrap();
        v2(&own, "cpu memory pids", "cpu memory pids");
        assert_eq!(found(&mounts, "0::/user/app", false), Found::V2(own));
    }

    #[test]
    fn version_1_is_taken_where_both_needed_controllers_are_there() {
        let folder = tempfile::tempdir().unwrap();
        let line = |name: &str| {
            format!(
                "1 2 0:3 / {} rw - cgroup cgroup rw,{name}\n",
                folder.path().display()
            )
        };
        let both = line("memory") + &line("pids") + &line("cpu,cpuacct") + &line("name=systemd");
        let Found::V1(hierarchies) = found(&both, "", true) else {
            panic!()
        };
        assert_eq!(hierarchies.len(), 3);
        assert_eq!(found(&line("memory"), "", true), Found::Nothing);
    }

    #[test]
    fn processes_are_ended_by_version_2_or_else_by_the_freezer() {
        let (two, one) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let freezer = format!(
            "1 2 0:3 / {} rw - cgroup c rw,freezer",
            one.path().display()
        );
        let both = format!("{freezer}\n{}", v2(two.path(), "", ""));
        assert_eq!(kills_in(&both).as_deref(), Some(two.path()));
        assert_eq!(kills_in(&freezer).as_deref(), Some(one.path()));
        assert_eq!(kills_in("1 2 0:3 / /tmp rw - tmpfs tmpfs rw"), None);
    }

    #[test]
    fn version_2_hands_its_controllers_down() {
        let folder = tempfile::tempdir().unwrap();
        v2(folder.path(), "cpu memory pids", "");
        fs::create_dir(folder.path().join("ours")).unwrap();
        v2(&folder.path().join("ours"), "cpu memory pids", "");
        Found::V2(folder.path().to_owned())
            .prepare("ours", None)
            .unwrap();
        for path in [folder.path().to_owned(), folder.path().join("ours")] {
            assert_eq!(
                fs::read_to_string(path.join("cgroup.subtree_control")).unwrap(),
                "+memory +pids +cpu"
            );
        }
    }
}
