//! The real binaries, built by cargo and run as processes of their own.

use std::{
    env,
    net::SocketAddr,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    time::timeout,
};

/// How long a process may take to be ready, or to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running binary. It is killed when this is dropped.
pub struct Binary {
    child: Child,
    address: SocketAddr,
}

impl Binary {
    /// Starts a binary of the workspace and waits until it says where it listens: the last word of
    /// its first line.
    pub async fn start(program: &str, arguments: &[&str]) -> Self {
        Self::start_with(program, arguments, &[], Stdio::inherit()).await
    }

    /// The same with these settings in its environment, and its log there.
    pub async fn start_with(
        program: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
        log: Stdio,
    ) -> Self {
        let mut child = Command::new(build().join(program))
            .args(arguments)
            .env_remove("SANDGATE_ADMIN_KEY")
            .env("SANDGATE_LOG", "warn")
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = timeout(PATIENCE, lines.next_line())
            .await
            .expect("not ready in time")
            .unwrap();
        let line = line.unwrap_or_else(|| panic!("{program} ended before it was ready"));
        assert!(line.contains("ready"), "{line}");
        let address = line.split_whitespace().last().unwrap().parse().unwrap();
        Self { child, address }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Asks it to end.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Stops it in its tracks; its sockets stay open.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Waits for its end.
    pub async fn ended(mut self) -> ExitStatus {
        timeout(PATIENCE, self.child.wait())
            .await
            .expect("does not end")
            .unwrap()
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id().expect("it has ended")).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }
}

/// Builds the binaries, if they are not as the sources are; the folder that they are in.
pub fn build() -> PathBuf {
    // target/debug/deps/this-test
    let own = env::current_exe().unwrap();
    let folder = own
        .parent()
        .and_then(|deps| deps.parent())
        .unwrap()
        .to_owned();
    let mut cargo = std::process::Command::new(env!("CARGO"));
    cargo
        // All of them, as `make build` does: another choice would build their dependencies anew.
        .args([
            "build",
            "--quiet",
            "--locked",
            "--workspace",
            "--bins",
            "--target-dir",
        ])
        .arg(folder.parent().unwrap());
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    let status = cargo
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .unwrap();
    assert!(status.success(), "cargo could not build the binaries");
    folder
}
