//! A Docker Engine of one test, which can be stopped and started again under a provider. It shares
//! nothing with another engine of this host; its end takes away all that it made.

use std::{
    fs::{self, File},
    net::Ipv4Addr,
    path::PathBuf,
    process::{Child, Command as Cli, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use sandgate_provider_container::{Config, Inputs};
use tempfile::TempDir;

use super::{PATIENCE, debris, image, names};

/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(50);
/// The first range of addresses that is tried is `10.214.0.0/16`; 10.213 is a provider's default.
const FIRST_NET: u8 = 214;
/// Tests that may run at once.
const SLOTS: usize = 3;
/// Programs that it needs beside the image, and the Debian packages that have them.
const NEEDED: [(&str, &str); 4] = [
    ("dockerd", "docker.io"),
    ("containerd", "containerd"),
    ("docker", "docker-cli or docker.io"),
    ("ip", "iproute2"),
];

/// An engine, running or not.
pub(crate) struct Engine {
    /// Short, for the sockets in it.
    folder: TempDir,
    options: &'static [&'static str],
    /// Its own, since an engine told to have none takes away that of another.
    bridge: String,
    /// All of its networks are in `10.NET.0.0/16`.
    net: u8,
    child: Option<Child>,
}

impl Engine {
    /// Starts one that has the test image. Tests that run at once have slots of their own, from 0 on.
    pub(crate) fn new(slot: u8, options: &'static [&'static str]) -> Self {
        for (program, package) in NEEDED {
            let found = Cli::new(program).arg("--help").output().is_ok();
            assert!(
                found,
                "this test starts a Docker Engine of its own and needs {program}: install {package}"
            );
        }
        let mut nets = (FIRST_NET + slot..=u8::MAX).step_by(SLOTS);
        let net = nets.find(|net| !debris::is_in_use(&format!("10.{net}.")));
        let net = net
            .expect("this test needs a range of addresses from 10.214.0.0/16 on that nobody uses");
        let folder = tempfile::Builder::new().prefix("sg").tempdir().unwrap();
        let mut engine = Self {
            folder,
            options,
            bridge: format!("sgt{net}-{}", std::process::id() % 100_000),
            net,
            child: None,
        };
        let bridge = engine.bridge.clone();
        let address = format!("{}/28", Ipv4Addr::new(10, net, 255, 241));
        let why = "this test needs root, to start a Docker Engine of its own";
        debris::ip(&["link", "add", &bridge, "type", "bridge"]).expect(why);
        debris::ip(&["addr", "add", &address, "dev", &bridge]).expect(why);
        engine.start();
        engine.take_image();
        engine
    }

    /// Where it listens.
    pub(crate) fn host(&self) -> String {
        format!("unix://{}", self.path("docker.sock").display())
    }

    /// What has a provider use it, and give names that nobody else has.
    pub(crate) fn configure(&self, config: &mut Config) {
        config.engine = Inputs {
            host: Some(self.host()),
            ..Inputs::default()
        };
        config.name_prefix = self.prefix();
        config.subnet_pool = format!("10.{}.0.0/17", self.net);
    }

    /// Starts it on its folders, and waits until it answers.
    pub(crate) fn start(&mut self) {
        self.try_start().unwrap();
    }

    fn try_start(&mut self) -> Result<(), String> {
        let host = self.host();
        let log = File::options()
            .append(true)
            .create(true)
            .open(self.path("log"));
        let log = log.map_err(|error| error.to_string())?;
        let error = log.try_clone().map_err(|error| error.to_string())?;
        let child = Cli::new("dockerd")
            .args(["--host", &self.host(), "--bridge", &self.bridge])
            .args(["--iptables=false", "--ip6tables=false", "--ip-masq=false"])
            .args(["--ip-forward=false", "--shutdown-timeout=10"])
            .arg("--data-root")
            .arg(self.path("data"))
            .arg("--exec-root")
            .arg(self.path("run"))
            .arg("--pidfile")
            .arg(self.path("pid"))
            .args(self.options)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(error)
            .spawn();
        let child = self.child.insert(child.map_err(|error| error.to_string())?);
        let end = Instant::now() + PATIENCE;
        while debris::output(Cli::new("docker").args(["--host", &host, "version"])).is_err() {
            let ended = child.try_wait().map_err(|error| error.to_string())?;
            if let Some(status) = ended {
                return Err(format!("dockerd ended, {status}; its log says why"));
            }
            if Instant::now() > end {
                return Err("dockerd does not answer; its log may say why".to_owned());
            }
            sleep(PAUSE);
        }
        Ok(())
    }

    /// Ends it as a service manager would, and waits for its end.
    pub(crate) fn stop(&mut self) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        let _ = Cli::new("kill").arg(child.id().to_string()).status();
        let end = Instant::now() + PATIENCE;
        while matches!(child.try_wait(), Ok(None)) {
            if Instant::now() > end {
                let _ = child.kill();
            }
            sleep(PAUSE);
        }
    }

    /// Ends it as a crash would: what it runs is not told.
    pub(crate) fn crash(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().unwrap();
        child.wait().unwrap();
        // Its containerd may not have noticed yet, and would be mistaken for one to go on with.
        debris::kill(self.folder.path(), Some("containerd"));
        let _ = fs::remove_file(self.path("run/containerd/containerd.pid"));
    }

    /// The docker CLI on this engine.
    pub(crate) fn docker(&self, arguments: &[&str]) -> Result<String, String> {
        let mut docker = Cli::new("docker");
        debris::output(docker.arg("--host").arg(self.host()).args(arguments))
    }

    /// Imports the file that the test image is kept in, or else copies it from the other engine.
    fn take_image(&self) {
        let image = image();
        let tarball = tarball(&image);
        if tarball.exists() {
            let path = tarball.to_str().unwrap();
            self.docker(&["import", "--change", r#"CMD ["/bin/sh"]"#, path, &image])
                .unwrap();
            return;
        }
        let path = self.path("image.tar");
        super::docker(&["save", "--output", path.to_str().unwrap(), &image]);
        self.docker(&["load", "--input", path.to_str().unwrap()])
            .unwrap();
    }

    fn prefix(&self) -> String {
        self.bridge.clone()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn log(&self) -> String {
        let log = fs::read_to_string(self.path("log")).unwrap_or_default();
        // Most lines are about its own connections to containerd.
        let lines = log.lines().filter(|line| !line.ends_with("module=grpc"));
        let mut last: Vec<_> = lines.rev().take(15).collect();
        last.reverse();
        last.join("\n")
    }

    /// Containers and networks that were made on it.
    fn made(&self) -> Vec<[String; 3]> {
        let listed = |kind: &[&str], remove: [&str; 2]| {
            let label = format!("label=managed-by={}", self.prefix());
            let all = [kind, &["-q", "--no-trunc", "--filter", &label]].concat();
            let all = self.docker(&all).unwrap_or_default();
            let row = |id: &str| [remove[0], remove[1], id].map(str::to_owned);
            all.lines().map(row).collect::<Vec<_>>()
        };
        let mut made = listed(&["ps", "-a"], ["rm", "-fv"]);
        made.extend(listed(&["network", "ls"], ["network", "rm"]));
        made
    }

    /// Takes away everything, whatever state the test has left; says what should not be there.
    fn clean(&mut self) -> Vec<String> {
        let mut left = Vec::new();
        for arguments in self.made() {
            left.push(arguments.join(" "));
            let _ = self.docker(&arguments.each_ref().map(String::as_str));
        }
        self.stop();
        left.extend(debris::kill(self.folder.path(), None));
        debris::unmount(self.folder.path());
        let _ = debris::ip(&["link", "del", &self.bridge]);
        debris::remove_devices(&format!("10.{}.", self.net));
        left.extend(debris::remove_groups(&self.prefix()));
        debris::remove_container_groups(&names(&self.path("data/containers")));
        left
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let failed = std::thread::panicking();
        if failed {
            println!("the engine's last lines:\n{}", self.log());
            if self.child.is_none() && self.path("data").exists() {
                // Only it can end what it has kept alive; without it the rest is done by force.
                let _ = self.try_start();
            }
        }
        let left = self.clean();
        assert!(failed || left.is_empty(), "left behind: {left:?}");
    }
}

/// Where the test image is kept, by the name that it is made under.
fn tarball(image: &str) -> PathBuf {
    let set = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let cache = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    let release = image
        .strip_prefix("sandgate-test:")
        .unwrap_or("of-somebody-else");
    let name = format!("sandgate/{release}-{}.tar", std::env::consts::ARCH);
    cache.unwrap_or_default().join(name)
}
