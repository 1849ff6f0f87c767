//! The real binaries, built by cargo and run as processes of their own.

use std::{
    env,
    net::SocketAddr,
    path::{Path, PathBuf},
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

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("it has ended")
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
        let pid = i32::try_from(self.pid()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }
}

/// Programs that can be built with the feature `failpoints`.
const WITH_FAILPOINTS: [&str; 4] = [
    "sandgate-gateway",
    "sandgate-provider-container",
    "sandgate-provider-e2b",
    "sandgate-provider-local",
];
/// What they need besides, without any.
const BESIDE: [&str; 1] = ["sandgate-emulator"];

/// Builds the binaries, if they are not as the sources are; the folder that they are in.
pub fn build() -> PathBuf {
    let folder = own_folder();
    // All of them, as `make build` does: another choice would build their dependencies anew.
    cargo(&folder, &folder, &["--bins"]);
    folder
}

/// Builds those that have failpoints, with them, into a folder of their own beside the usual ones;
/// all that both are made of is compiled once.
pub fn build_with_failpoints() -> PathBuf {
    let usual = own_folder();
    let name = usual.file_name().unwrap();
    let folder = usual.with_file_name("failpoints").join(name);
    let features = WITH_FAILPOINTS.map(|program| format!("{program}/failpoints"));
    let features = features.join(",");
    let mut arguments = vec!["--features", &features];
    for program in WITH_FAILPOINTS.iter().chain(&BESIDE) {
        arguments.extend(["--bin", *program]);
    }
    cargo(&usual, &folder, &arguments);
    folder
}

/// Of the binaries: this one is target/debug/deps/this-test.
fn own_folder() -> PathBuf {
    let own = env::current_exe().unwrap();
    own.ancestors().nth(2).unwrap().to_owned()
}

/// Runs `cargo build`: compiles in the target folder of `usual`, and puts binaries into that of `folder`.
fn cargo(usual: &Path, folder: &Path, arguments: &[&str]) {
    let mut cargo = std::process::Command::new(env!("CARGO"));
    cargo
        .args(["build", "--quiet", "--locked", "--workspace"])
        .args(arguments)
        .env("CARGO_BUILD_BUILD_DIR", usual.parent().unwrap())
        .arg("--target-dir")
        .arg(folder.parent().unwrap());
    if usual.ends_with("release") {
        cargo.arg("--release");
    }
    // What cargo tells this test of its own package is not for the build: scripts that look at it, as
    // that of `ring`, would run anew, and all that needs them be compiled anew.
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&*name);
        }
    }
    let status = cargo
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .unwrap();
    assert!(status.success(), "cargo could not build the binaries");
}
