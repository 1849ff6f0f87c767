//! How often the kernel ended a process of this sandbox because memory ran out.

use std::{
    fs,
    path::{Path, PathBuf},
};

const ROOT: &str = "/sys/fs/cgroup";

/// The counter of our own control group.
#[derive(Debug)]
pub(super) struct OomCounter(Option<PathBuf>);

impl OomCounter {
    /// The file that the host supplies, if it counts.
    pub(super) fn at(file: PathBuf) -> Self {
        Self(count(&file).map(|_| file))
    }

    /// Finds it: in a container the group is the root of what is mounted, else it has a path.
    pub(super) fn find() -> Self {
        let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        Self(
            places(&groups)
                .into_iter()
                .find(|path| count(path).is_some()),
        )
    }

    pub(super) fn sees(&self) -> bool {
        self.0.is_some()
    }

    /// Kills since the group was made; 0 where they cannot be seen.
    pub(super) fn kills(&self) -> u64 {
        self.0.as_deref().and_then(count).unwrap_or(0)
    }
}

/// Where the counter may be, the most exact first.
fn places(groups: &str) -> Vec<PathBuf> {
    let root = Path::new(ROOT);
    let mut places = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(kind), Some(path)) = (fields.next(), fields.next()) else {
            continue;
        };
        // Above what is mounted here.
        if path.contains("..") {
            continue;
        }
        let path = path.trim_start_matches('/');
        if kind.is_empty() {
            places.push(root.join(path).join("memory.events"));
        } else if kind.split(',').any(|controller| controller == "memory") {
            places.push(root.join(kind).join(path).join("memory.oom_control"));
            places.push(root.join("memory").join(path).join("memory.oom_control"));
        }
    }
    places.push(root.join("memory.events"));
    places.push(root.join("memory/memory.oom_control"));
    places
}

fn count(path: &Path) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    text.lines()
        .find_map(|line| line.strip_prefix("oom_kill "))
        .and_then(|count| count.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_is_found_by_its_path_or_at_the_root() {
        let both = places("9:pids:/\n4:cpu,memory:/docker/abc\n0::/user.slice\n1:memory:/../up\n");
        for wanted in [
            "/sys/fs/cgroup/user.slice/memory.events",
            "/sys/fs/cgroup/cpu,memory/docker/abc/memory.oom_control",
            "/sys/fs/cgroup/memory/docker/abc/memory.oom_control",
            "/sys/fs/cgroup/memory.events",
            "/sys/fs/cgroup/memory/memory.oom_control",
        ] {
            assert!(both.contains(&PathBuf::from(wanted)), "{wanted}: {both:?}");
        }
        assert!(
            !both
                .iter()
                .any(|path| path.to_string_lossy().contains(".."))
        );
    }

    #[test]
    fn only_the_counter_itself_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("memory.events");
        fs::write(&file, "low 0\noom 3\noom_kill 2\noom_group_kill 1\n").unwrap();
        assert_eq!(count(&file), Some(2));
        fs::write(&file, "oom_kill_disable 0\nunder_oom 0\n").unwrap();
        assert_eq!(count(&file), None);
        assert!(OomCounter::at(file.clone()).kills() == 0 && !OomCounter::at(file.clone()).sees());
        fs::write(&file, "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n").unwrap();
        assert_eq!(OomCounter::at(file).kills(), 5);
        let none = OomCounter(None);
        assert!(!none.sees() && none.kills() == 0);
    }
}
