//! One control group for each execution, below a folder that the host supplies: version 2, or the
//! freezer of version 1. What is in a group cannot leave it by any call of its own kind.

use std::{
    fs::{self, File},
    io,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use super::{launch, send};

/// Between two looks at a group that empties.
const PAUSE: Duration = Duration::from_millis(1);
/// How long freezing may take before what is there is killed as it is.
const FREEZE: Duration = Duration::from_millis(100);
/// Most folders of earlier executions that a start cleans up.
const SWEEP: usize = 8;

/// The folder for all executions.
#[derive(Debug)]
pub(super) struct Cgroups {
    folder: PathBuf,
    /// Folders that still had processes when their execution was forgotten.
    leftovers: Mutex<Vec<PathBuf>>,
}

/// The group of one execution. Dropped, its folder is removed as soon as it is empty.
#[derive(Debug)]
pub(super) struct Group {
    path: PathBuf,
    all: Arc<Cgroups>,
}

/// What a process needs to get into a group.
pub(super) struct Door {
    folder: OwnedFd,
    members: OwnedFd,
}

impl Door {
    pub(super) fn as_plan(&self) -> launch::Cgroup<'_> {
        launch::Cgroup {
            folder: self.folder.as_fd(),
            members: self.members.as_fd(),
        }
    }
}

impl Cgroups {
    /// Takes the folder over, with what earlier executions left there.
    pub(super) fn new(folder: PathBuf) -> Arc<Self> {
        let leftovers = children(&folder)
            .into_iter()
            .filter(|path| !remove(path))
            .collect();
        Arc::new(Self {
            folder,
            leftovers: Mutex::new(leftovers),
        })
    }

    /// Makes the group of an execution.
    pub(super) fn make(self: &Arc<Self>, number: u64) -> io::Result<(Group, Door)> {
        self.sweep();
        let path = self.folder.join(format!("e{number}"));
        match fs::create_dir(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let group = Group {
            path,
            all: Arc::clone(self),
        };
        let folder = File::open(&group.path)?.into();
        let members = File::options()
            .write(true)
            .open(group.path.join("cgroup.procs"))?
            .into();
        Ok((group, Door { folder, members }))
    }

    fn sweep(&self) {
        let mut leftovers = self
            .leftovers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut tries = SWEEP;
        leftovers.retain(|path| {
            tries = tries.saturating_sub(1);
            tries == 0 || !remove(path)
        });
    }
}

impl Group {
    /// Whether processes can be ended here for certain, and not only be listed.
    pub(super) fn is_certain(&self) -> bool {
        ["cgroup.kill", "cgroup.freeze", "freezer.state"]
            .iter()
            .any(|file| self.path.join(file).exists())
    }

    pub(super) fn members(&self) -> Vec<i32> {
        members(&self.path)
    }

    pub(super) fn is_empty(&self) -> bool {
        is_empty(&self.path)
    }

    /// Kills all, until nobody is left or the time is over.
    pub(super) fn kill(&self, deadline: Instant) {
        while !self.is_empty() && Instant::now() < deadline {
            if fs::write(self.path.join("cgroup.kill"), "1").is_err() {
                self.freeze(true);
                for pid in self.members() {
                    send::to_pid(pid, libc::SIGKILL);
                }
                self.freeze(false);
            }
            thread::sleep(PAUSE);
        }
    }

    /// Stops the clock for all, so that nobody makes another process meanwhile.
    fn freeze(&self, on: bool) {
        let (state, frozen) = (self.path.join("freezer.state"), "FROZEN");
        if !state.exists() {
            let _ = fs::write(self.path.join("cgroup.freeze"), if on { "1" } else { "0" });
            return;
        }
        let until = Instant::now() + FREEZE;
        loop {
            let _ = fs::write(&state, if on { frozen } else { "THAWED" });
            let done = fs::read_to_string(&state).is_ok_and(|now| now.trim() == frozen);
            if !on || done || Instant::now() > until {
                return;
            }
            thread::sleep(PAUSE);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !remove(&self.path) {
            let leftovers = self.all.leftovers.lock();
            let path = self.path.clone();
            leftovers.unwrap_or_else(PoisonError::into_inner).push(path);
        }
    }
}

/// Removes a group without processes, and groups made inside; whether it is gone.
fn remove(path: &Path) -> bool {
    match fs::remove_dir(path) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => true,
        Err(_) => {
            let inside = children(path);
            !inside.is_empty()
                && is_empty(path)
                && inside.iter().all(|child| remove(child))
                && fs::remove_dir(path).is_ok()
        }
    }
}

fn children(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

/// The processes of a group and of groups made inside it, as our own namespace numbers them.
fn members(path: &Path) -> Vec<i32> {
    let own = std::process::id().cast_signed();
    let listed = fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
    let mut all: Vec<i32> = listed
        .lines()
        .filter_map(|line| line.parse().ok())
        .filter(|pid| *pid > 1 && *pid != own)
        .collect();
    for child in children(path) {
        all.extend(members(&child));
    }
    all
}

fn is_empty(path: &Path) -> bool {
    match fs::read_to_string(path.join("cgroup.events")) {
        Ok(events) => events.lines().all(|line| line != "populated 1"),
        Err(_) => members(path).is_empty(),
    }
}
