//! Starts and ends the program.

use std::{
    path::PathBuf,
    process::{Child, Command, ExitStatus},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::client::Client;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_sandgate-runner");

/// A runner, and the folder of its socket. Ends with it.
pub(crate) struct Runner {
    child: Child,
    pub(crate) folder: TempDir,
}

impl Runner {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    pub(crate) fn with(options: &[&str]) -> Self {
        Self::spawned(Command::new(PROGRAM), tempfile::tempdir().unwrap(), options)
    }

    /// With a spool folder on a disk of its own that is full after `size` bytes.
    pub(crate) fn on_a_small_disk(size: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let disk = folder.path().join("disk");
        std::fs::create_dir(&disk).unwrap();
        let mut command = Command::new("unshare");
        command
            .args(["--user", "--map-root-user", "--mount", "/bin/sh", "-c"])
            .arg("mount -t tmpfs -o size=$1 tmpfs $2 && shift 2 && exec \"$@\"")
            .args(["sh", &size.to_string()])
            .arg(&disk)
            .arg(PROGRAM);
        let disk = disk.to_str().unwrap().to_owned();
        Self::spawned(command, folder, &["--spool-dir", &disk])
    }

    fn spawned(mut command: Command, folder: TempDir, options: &[&str]) -> Self {
        command
            .arg("init")
            .arg("--socket")
            .arg(folder.path().join("socket"));
        if !options.contains(&"--spool-dir") {
            command.arg("--spool-dir").arg(folder.path());
        }
        let child = command.args(options).spawn().unwrap();
        let runner = Self { child, folder };
        wait_until(|| runner.socket().exists());
        runner
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(&self.socket())
    }

    pub(crate) fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// Resident memory, in KiB.
    pub(crate) fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS"))
            .unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Processor time used, in hundredths of a second.
    pub(crate) fn ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        let fields: Vec<&str> = stat.split(") ").last().unwrap().split(' ').collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until(|| {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        if self.child.try_wait().unwrap().is_none() {
            self.signal(rustix::process::Signal::TERM);
            let deadline = Instant::now() + Duration::from_secs(9);
            while self.child.try_wait().unwrap().is_none() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(2));
            }
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

/// Waits, though not for long.
#[track_caller]
pub(crate) fn wait_until(mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(15);
    while !holds() {
        assert!(Instant::now() < deadline, "waited for too long");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Whether a process is there and no zombie.
pub(crate) fn lives(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
    stat.is_ok_and(|stat| !stat.contains(") Z"))
}

#[test]
fn says_its_version_and_its_usage() {
    let output = Command::new(PROGRAM).arg("version").output().unwrap();
    assert!(
        String::from_utf8(output.stdout)
            .unwrap()
            .contains("protocol 1 to 3")
    );
    let output = Command::new(PROGRAM)
        .args(["init", "--socket"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("--socket needs a path")
    );
}

#[test]
fn replaces_a_stale_socket_and_nothing_else() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    std::fs::write(&socket, "").unwrap();
    let mut command = Command::new(PROGRAM);
    command.arg("init").arg("--socket").arg(&socket);
    let output = command.output().unwrap();
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("is no socket")
    );
    std::fs::remove_file(&socket).unwrap();
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let child = command.spawn().unwrap();
    let mut runner = Runner { child, folder };
    let connects = || std::os::unix::net::UnixStream::connect(&socket).is_ok();
    wait_until(connects);
    assert_eq!(
        std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777,
        0o600
    );
    runner.signal(rustix::process::Signal::TERM);
    assert!(runner.wait().success());
}

#[test]
fn a_command_besides_ends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("mark");
    let line = format!("touch {}", mark.display());
    let runner = Runner::with(&["--", "sh", "-c", &line]);
    wait_until(|| mark.exists());
    assert_eq!(runner.client().shell("a", "echo there").text(1), "there\n");
}
