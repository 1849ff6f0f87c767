//! The first process of a sandbox: what is noted of it, so that any later provider finds it again,
//! and how it is ended. All others of the sandbox end with it.

use std::{
    fs, io,
    os::fd::{AsFd as _, OwnedFd},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{
        Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid,
    },
};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

/// A process that no other one can be taken for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Init {
    /// On the host.
    pid: i32,
    /// When it started, in ticks since the boot.
    start: u64,
    /// Of the machine, new with every boot.
    boot: String,
}

/// A process that lives, or did when it was taken hold of.
#[derive(Debug)]
pub(crate) struct Held(OwnedFd);

impl Init {
    /// A process that runs now.
    pub(crate) fn of(pid: Pid) -> io::Result<Self> {
        let pid = pid.as_raw_pid();
        Ok(Self {
            pid,
            start: start(pid)?.ok_or(io::ErrorKind::NotFound)?,
            boot: boot()?,
        })
    }

    /// Its number on the host.
    pub(crate) const fn pid(&self) -> i32 {
        self.pid
    }

    /// Whether it lives. While it does, its number is no other's.
    pub(crate) fn is_alive(&self) -> bool {
        start(self.pid).is_ok_and(|start| start == Some(self.start))
            && boot().is_ok_and(|boot| boot == self.boot)
    }

    /// Takes hold of it; none where it is gone.
    pub(crate) fn hold(&self) -> io::Result<Option<Held>> {
        let Some(pid) = Pid::from_raw(self.pid) else {
            return Ok(None);
        };
        match pidfd_open(pid, PidfdFlags::empty()) {
            // The descriptor first, so that what is asked after it is about the same process.
            Ok(process) => Ok(self.is_alive().then_some(Held(process))),
            Err(rustix::io::Errno::SRCH) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl Held {
    /// Asks it to end all that runs, and then itself.
    pub(crate) fn terminate(&self) {
        let _ = pidfd_send_signal(&self.0, Signal::TERM);
    }

    /// Ends it, and with it every process of the sandbox, whatever they did to get away.
    pub(crate) fn kill(&self) {
        let _ = pidfd_send_signal(&self.0, Signal::KILL);
    }

    /// Whether it is a zombie, which the first of a namespace becomes only after all others in it
    /// are gone.
    fn is_gone(&self) -> bool {
        let mut asked = [PollFd::new(&self.0, PollFlags::IN)];
        poll(&mut asked, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    /// Waits until no process of the sandbox is left. Cancel-safe.
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
        let descriptor = WaitId::PidFd(self.0.as_fd());
        let _ = waitid(descriptor, WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
    }
}

/// When a process started, by proc_pid_stat(5); none where it is gone or a zombie.
fn start(pid: i32) -> io::Result<Option<u64>> {
    let text = match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        // It went while it was being read.
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(None),
        Err(error) => return Err(error),
    };
    // The name before may hold anything, also brackets.
    let fields = text.rsplit_once(')').map_or("", |(_, fields)| fields);
    let mut fields = fields.split_ascii_whitespace();
    if matches!(fields.next(), None | Some("Z" | "X" | "x")) {
        return Ok(None);
    }
    Ok(fields.nth(18).and_then(|start| start.parse().ok()))
}

fn boot() -> io::Result<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(id.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[tokio::test]
    async fn a_process_is_known_until_it_ends_and_never_taken_for_another() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let init = Init::of(Pid::from_child(&child)).unwrap();
        assert!(init.is_alive());
        let reused = Init {
            start: init.start + 1,
            ..init.clone()
        };
        let rebooted = Init {
            boot: "another".into(),
            ..init.clone()
        };
        for other in [reused, rebooted] {
            assert!(!other.is_alive() && other.hold().unwrap().is_none());
        }
        let held = init.hold().unwrap().unwrap();
        held.kill();
        held.gone().await;
        assert!(!init.is_alive());
        assert!(init.hold().unwrap().is_none());
        // The wait above may have buried it.
        let _ = child.wait();
    }
}
