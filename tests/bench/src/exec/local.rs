//! `true` in a local sandbox, beside bubblewrap starting and ending a sandbox for it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use super::{
    client::Client,
    commands::median,
    figure::{Figure, Pair},
    phase::Phase,
};
use crate::{
    error::{Error, Result},
    spread::Spread,
};

/// Commands whose median is one figure.
pub(super) const CALLS: usize = 100;
/// Where programs and their libraries are, besides /usr.
const ROOTS: [&str; 5] = ["/bin", "/sbin", "/lib", "/lib32", "/lib64"];

/// What the commands run in.
pub(super) struct Local {
    client: Client,
    sandbox_id: String,
    bwrap: PathBuf,
    options: Vec<String>,
}

impl Local {
    /// Makes the sandbox.
    pub(super) async fn prepare(client: &Client, bwrap: &Path) -> Result<Self> {
        let made = client.create().await?;
        Ok(Self {
            client: client.clone(),
            sandbox_id: made.sandbox_id,
            bwrap: bwrap.to_owned(),
            options: options(),
        })
    }
}

impl Phase for Local {
    async fn take(&self, _figure: Figure, warm_up: bool) -> Result<Pair> {
        let calls = if warm_up { CALLS / 4 } else { CALLS };
        let ours = median(calls, || self.client.run(0, &self.sandbox_id, &["true"])).await?;
        let (bwrap, options) = (self.bwrap.clone(), self.options.clone());
        // Off the runtime: waiting for a process in its own thread is the quickest.
        let other = tokio::task::spawn_blocking(move || alone(&bwrap, &options, calls)).await;
        let other = other.map_err(|_| Error::Late("bubblewrap"))??;
        Ok(Pair { ours, other })
    }
}

/// Median milliseconds of bubblewrap from spawn to exit.
fn alone(bwrap: &Path, options: &[String], calls: usize) -> Result<f64> {
    let program = || bwrap.display().to_string();
    let mut times = Vec::with_capacity(calls);
    for _ in 0..calls {
        let mut command = Command::new(bwrap);
        command.args(options).env_clear();
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let begun = Instant::now();
        let status = command.status().map_err(|source| Error::Start {
            program: program(),
            source,
            hint: "install it (Debian and Ubuntu: apt-get install bubblewrap), or name it with --bwrap",
        })?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
        if !status.success() {
            return Err(Error::Program {
                program: program(),
                what: format!("ended with {status}"),
            });
        }
    }
    Ok(Spread::of(times).median)
}

/// A sandbox like one of the local provider's.
fn options() -> Vec<String> {
    let mut list = words(
        "--unshare-ipc --unshare-pid --unshare-uts --unshare-cgroup-try --unshare-net \
         --unshare-user --hostname sandbox --uid 1000 --gid 1000 --cap-drop ALL --new-session \
         --ro-bind /usr /usr",
    );
    for root in ROOTS {
        if let Ok(target) = fs::read_link(root) {
            list.extend([
                "--symlink".into(),
                target.display().to_string(),
                root.into(),
            ]);
        } else if Path::new(root).is_dir() {
            list.extend(["--ro-bind", root, root].map(str::to_owned));
        }
    }
    list.extend(words(
        "--proc /proc --dev /dev --remount-ro /dev --tmpfs /dev/shm --tmpfs /tmp \
         --tmpfs /workspace --tmpfs /home/sandbox --dir /run --dir /var --remount-ro / \
         --chdir /workspace --clearenv --setenv HOME /home/sandbox --setenv USER sandbox \
         --setenv PATH /usr/local/bin:/usr/bin:/bin -- true",
    ));
    list
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}
