//! The control group of a sandbox's processes; where the machine has none to give, signals.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep};

/// How long processes may take until they stand still, or are gone.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(2);
/// How often that is tried where nobody can wait.
const TRIES: u32 = 50;

/// What holds the processes together.
#[derive(Debug)]
pub(super) enum Group {
    /// A folder of cgroup v2.
    Folder(PathBuf),
    /// Nothing: they are found by their process namespace.
    Namespace,
}

impl Group {
    /// A new one.
    pub(super) fn make(name: &str) -> Self {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let mut tops = mounts.lines().filter_map(|line| {
            let mut words = line.split(' ').skip(1);
            let (path, kind) = (words.next()?, words.next()?);
            (kind == "cgroup2").then(|| Path::new(path).join(format!("sandgate-emulator-{name}")))
        });
        let usable = |path: &PathBuf| {
            let there = fs::create_dir(path).is_ok() || path.is_dir();
            there && path.join("cgroup.freeze").exists() && path.join("cgroup.kill").exists()
        };
        tops.find(usable).map_or(Self::Namespace, Self::Folder)
    }

    /// The folder to join.
    pub(super) fn folder(&self) -> Option<&Path> {
        match self {
            Self::Folder(path) => Some(path),
            Self::Namespace => None,
        }
    }

    /// Stops all, or lets all go on. `bwrap`: the process that made the namespaces.
    pub(super) async fn freeze(&self, bwrap: Option<u32>, frozen: bool) -> io::Result<()> {
        let Self::Folder(path) = self else {
            let gone = || io::Error::other("the sandbox's processes are gone");
            return signal(bwrap.ok_or_else(gone)?, frozen).await;
        };
        fs::write(path.join("cgroup.freeze"), if frozen { "1" } else { "0" })?;
        let wanted = if frozen { "frozen 1" } else { "frozen 0" };
        let late = Instant::now() + PATIENCE;
        while !fs::read_to_string(path.join("cgroup.events"))?.contains(wanted) {
            if Instant::now() > late {
                return Err(io::Error::other(
                    "the sandbox's processes do not stand still",
                ));
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// Ends all. Without a group they end with bwrap, which whoever holds it ends.
    pub(super) fn kill(&self) {
        if let Self::Folder(path) = self {
            // A group that is gone has nobody in it.
            let _ = fs::write(path.join("cgroup.kill"), "1");
        }
    }

    /// Gives the group back where nobody can wait, unless that takes long.
    pub(super) fn leave(&self) {
        let Self::Folder(path) = self else { return };
        for _ in 0..TRIES {
            match fs::remove_dir(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    std::thread::sleep(LOOK);
                }
                _ => return,
            }
        }
    }

    /// Gives the group back once nobody is in it.
    pub(super) async fn remove(&self) {
        let Self::Folder(path) = self else { return };
        let late = Instant::now() + PATIENCE;
        while let Err(error) = fs::remove_dir(path) {
            if error.kind() == io::ErrorKind::NotFound {
                return;
            }
            if Instant::now() > late {
                tracing::warn!(%error, path = %path.display(), "a control group stays behind");
                return;
            }
            sleep(LOOK).await;
        }
    }
}

/// Stops or continues everything in the namespace below bwrap but its first process, until a look
/// finds nobody new.
async fn signal(bwrap: u32, frozen: bool) -> io::Result<()> {
    let first = fs::read_to_string(format!("/proc/{bwrap}/task/{bwrap}/children"))?;
    let first = first
        .split_whitespace()
        .next()
        .unwrap_or_default()
        .to_owned();
    let namespace = |process: &str| fs::read_link(format!("/proc/{process}/ns/pid")).ok();
    let inside =
        namespace(&first).ok_or_else(|| io::Error::other("the sandbox's processes are gone"))?;
    let what = if frozen { Signal::STOP } else { Signal::CONT };
    let mut known = BTreeSet::new();
    loop {
        let mut grew = false;
        for entry in fs::read_dir("/proc")?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let number = name.parse().ok().and_then(Pid::from_raw);
            let Some(pid) = number.filter(|_| name != first) else {
                continue;
            };
            if namespace(&name).as_ref() == Some(&inside) && known.insert(name) {
                // One that has ended by now needs no signal.
                let _ = kill_process(pid, what);
                grew = true;
            }
        }
        if !grew {
            return Ok(());
        }
        sleep(LOOK).await;
    }
}
