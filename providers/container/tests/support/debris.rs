//! What an engine leaves on its host when its end goes wrong, and how it goes away.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command as Cli, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use super::PATIENCE;

/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(20);
/// Where control groups are made, on a host of either version.
const GROUPS: [&str; 3] = [
    "/sys/fs/cgroup",
    "/sys/fs/cgroup/unified",
    "/sys/fs/cgroup/freezer",
];

/// Kills all that was started with a path in this folder, and what runs in its containers; or only
/// programs of one name. Tells what there was.
pub(crate) fn kill(folder: &Path, name: Option<&str>) -> Vec<String> {
    let mut killed = Vec::new();
    let end = Instant::now() + PATIENCE;
    loop {
        let found = processes(folder, name);
        if found.is_empty() || Instant::now() > end {
            return killed;
        }
        for (pid, found) in found {
            // What runs in a container is a child of its shim, and does not end with it.
            let children = name.map_or_else(|| children(pid), |_| Vec::new());
            for pid in children.into_iter().chain([pid]) {
                // It may have ended by now.
                let _ = output(Cli::new("kill").args(["-9", &pid.to_string()]));
            }
            killed.push(format!("{found}, process {pid}"));
        }
        sleep(PAUSE);
    }
}

/// Unmounts what is mounted below a folder, the innermost first.
pub(crate) fn unmount(folder: &Path) {
    let all = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let paths = all.lines().filter_map(|line| line.split(' ').nth(1));
    let below: Vec<_> = paths
        .filter(|path| Path::new(path).starts_with(folder))
        .collect();
    for path in below.into_iter().rev() {
        let _ = output(Cli::new("umount").args(["--lazy", path]));
    }
}

/// Removes bridges that an engine made and whose address begins so.
pub(crate) fn remove_devices(address: &str) {
    let all = ip(&["-oneline", "-4", "addr"]).unwrap_or_default();
    for line in all.lines() {
        let mut words = line.split_whitespace().skip(1);
        let (device, _, found) = (words.next(), words.next(), words.next());
        let ours = found.is_some_and(|found| found.starts_with(address));
        if let Some(device) = device.filter(|device| ours && device.starts_with("br-")) {
            let _ = ip(&["link", "del", device]);
        }
    }
}

/// Whether a device of this host has an address that begins so.
pub(crate) fn is_in_use(address: &str) -> bool {
    let all = ip(&["-oneline", "-4", "addr"]).unwrap_or_default();
    all.contains(&format!(" {address}"))
}

/// Removes the control groups of a provider, and tells which were not empty.
pub(crate) fn remove_groups(prefix: &str) -> Vec<String> {
    let folders = GROUPS.map(|root| Path::new(root).join(prefix));
    let there = folders.into_iter().filter(|folder| folder.exists());
    let used = there.filter(|folder| fs::remove_dir(folder).is_err());
    let tell = |folder: PathBuf| {
        let _ = remove_group(&folder);
        folder.display().to_string()
    };
    used.map(tell).collect()
}

/// Removes the groups that an engine made for these containers, where nobody is in them any more.
pub(crate) fn remove_container_groups(ids: &[String]) {
    let hierarchies = fs::read_dir(GROUPS[0]).into_iter().flatten().flatten();
    let roots = hierarchies.map(|entry| entry.path());
    for root in roots.chain([PathBuf::from(GROUPS[0])]) {
        for id in ids {
            // Not there after a good end.
            let _ = remove_group(&root.join("docker").join(id));
        }
    }
}

/// Removes a group and those in it.
fn remove_group(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_group(&entry.path())?;
        }
    }
    fs::remove_dir(folder)
}

pub(crate) fn ip(arguments: &[&str]) -> Result<String, String> {
    output(Cli::new("ip").args(arguments))
}

/// What a program says that succeeds, or what it complains of.
pub(crate) fn output(command: &mut Cli) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stderr))
    }
}

/// Those that were started with a path in this folder, by their names.
fn processes(folder: &Path, name: Option<&str>) -> Vec<(u32, String)> {
    let inside = format!("{}/", folder.display());
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    all.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != std::process::id())
        .filter_map(|pid| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            let found = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
            let found = found.trim().to_owned();
            let wanted = name.is_none_or(|name| name == found);
            (wanted && String::from_utf8_lossy(&line).contains(&inside)).then_some((pid, found))
        })
        .collect()
}

fn children(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"));
    let tasks = tasks.into_iter().flatten().flatten();
    let lists = tasks.map(|task| task.path().join("children"));
    let lists: String = lists
        .map(|list| fs::read_to_string(list).unwrap_or_default())
        .collect();
    let pids = lists.split_whitespace();
    pids.filter_map(|pid| pid.parse().ok()).collect()
}
