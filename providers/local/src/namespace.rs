//! The processes of one execution: all that are in its pid namespace.

use std::{
    fs, io,
    os::fd::{AsFd as _, OwnedFd},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{
        Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid,
    },
};
use tokio::time::sleep;

/// A pid namespace, held by a descriptor of its init, which never names another process.
#[derive(Debug)]
pub(crate) struct Namespace {
    init: OwnedFd,
    pid: Pid,
    /// What /proc/PID/ns/pid of every process in it points to.
    link: String,
    killed: AtomicBool,
}

impl Namespace {
    /// Takes hold of a namespace while its init still waits. Must be called within a runtime.
    pub(crate) fn of(pid: Pid, inode: u64) -> io::Result<Self> {
        let link = format!("pid:[{inode}]");
        let init = pidfd_open(pid, PidfdFlags::empty())?;
        // Were the pid another process's by now, the descriptor would be, too.
        if !is_in(pid, &link) {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "the init of the namespace is gone",
            ));
        }
        Ok(Self {
            init,
            pid,
            link,
            killed: AtomicBool::new(false),
        })
    }

    /// Ends every process in it, whatever they did to get away: a namespace dies with its init.
    pub(crate) fn kill(&self) {
        self.killed.store(true, Ordering::Relaxed);
        let _ = pidfd_send_signal(&self.init, Signal::KILL);
    }

    /// Whether [`Self::kill`] was called.
    pub(crate) fn was_killed(&self) -> bool {
        self.killed.load(Ordering::Relaxed)
    }

    /// Sends TERM to every process in it but the init, which would ignore it. Reads all of /proc,
    /// some milliseconds.
    pub(crate) fn terminate(&self) -> io::Result<()> {
        let mut members = Vec::new();
        for entry in fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.parse().ok());
            let Some(pid) = number
                .and_then(Pid::from_raw)
                .filter(|pid| *pid != self.pid)
            else {
                continue;
            };
            // The descriptor first: what is read after it is about the same process, or a dead one.
            if is_in(pid, &self.link)
                && let Ok(member) = pidfd_open(pid, PidfdFlags::empty())
                && is_in(pid, &self.link)
            {
                members.push(member);
            }
        }
        // While the init lives, no other namespace can have the inode.
        if is_in(self.pid, &self.link) {
            for member in members {
                let _ = pidfd_send_signal(member, Signal::TERM);
            }
        }
        Ok(())
    }

    /// Whether its init is a zombie, which it becomes only after all others in it are gone.
    fn is_gone(&self) -> bool {
        let mut asked = [PollFd::new(&self.init, PollFlags::IN)];
        poll(
            &mut asked,
            Some(&Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            }),
        )
        .is_ok_and(|ready| ready > 0)
    }

    /// Waits until no process of it is left. Cancel-safe.
    pub(crate) async fn gone(&self) {
        // Asked again and again, since tokio has no safe way to wait for a descriptor of one's own;
        // mostly it is gone by the first or second time.
        let mut pause = Duration::from_millis(1);
        while !self.is_gone() {
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(20));
        }
        // Where the provider is process 1 of a container, orphans are its to bury; elsewhere this
        // finds no child.
        let descriptor = WaitId::PidFd(self.init.as_fd());
        let _ = waitid(descriptor, WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
    }
}

/// A namespace that ends when its holder is dropped.
#[derive(Debug)]
pub(crate) struct Held(pub(crate) Arc<Namespace>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.kill();
    }
}

fn is_in(pid: Pid, link: &str) -> bool {
    let path = format!("/proc/{}/ns/pid", pid.as_raw_nonzero());
    fs::read_link(path).is_ok_and(|target| target == Path::new(link))
}
