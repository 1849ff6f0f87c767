//! A provider's data folder, whose sandboxes and control groups go with it.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

pub struct Data(TempDir);

impl Data {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The first process of a sandbox, on the host.
    pub fn init(&self, sandbox: &str) -> Option<Pid> {
        let folder = self.path().join("local").join(sandbox);
        let meta = fs::read(folder.join("meta.json")).ok()?;
        let meta: serde_json::Value = serde_json::from_slice(&meta).ok()?;
        let pid = Pid::from_raw(meta["init"]["pid"].as_i64()?.try_into().ok()?)?;
        // Nobody else's by now.
        let mounts = fs::read_to_string(format!("/proc/{}/mountinfo", pid.as_raw_pid()));
        mounts
            .is_ok_and(|mounts| mounts.contains(sandbox))
            .then_some(pid)
    }

    /// Folders of control groups of the provider over it.
    pub fn groups(&self) -> Vec<PathBuf> {
        let Ok(instance) = fs::read_to_string(self.path().join("local/instance-id")) else {
            return Vec::new();
        };
        let name = format!("sandgate-{}", instance.trim());
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let folders = mounts.lines().filter(|line| line.contains(" - cgroup"));
        let paths = folders.map(|line| Path::new(line.split(' ').nth(4).unwrap()).join(&name));
        paths.filter(|path| path.exists()).collect()
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        let entries = fs::read_dir(self.path().join("local"))
            .into_iter()
            .flatten();
        for entry in entries.flatten() {
            if let Some(pid) = self.init(&entry.file_name().to_string_lossy()) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        let until = Instant::now() + Duration::from_secs(5);
        for group in self.groups() {
            while !remove(&group) && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

fn remove(group: &Path) -> bool {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            remove(&entry.path());
        }
    }
    fs::remove_dir(group).is_ok() || !group.exists()
}
