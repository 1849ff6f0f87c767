//! What a sandbox sees of the host, as options of bwrap. Meant to be read from top to bottom: what
//! is not listed is not there.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use super::launch::{ABSENT_FD, BLOCK_FD, REFUSED_FD, STATUS_FD, USERNS_FD};

/// The user inside.
pub(crate) const USER: &str = "sandbox";
/// Its uid and gid.
pub(crate) const UID: &str = "1000";
/// Its home.
pub(crate) const HOME: &str = "/home/sandbox";
/// Where work is done.
pub(crate) const WORKSPACE: &str = "/workspace";

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Room of /dev/shm, bytes.
const SHM_BYTES: &str = "67108864";

/// What beside /usr makes the host's programs run: links into /usr, or folders where it is not
/// merged.
const ROOTS: [&str; 6] = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/// Files and folders of the host's /etc that programs need and that hold nothing private. Those
/// that name users and hosts are our own, see `etc.rs`.
const ETC: [&str; 20] = [
    "alternatives",
    "ca-certificates",
    "ca-certificates.conf",
    "crypto-policies",
    "debian_version",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "magic",
    "mime.types",
    "os-release",
    "pki/ca-trust",
    "pki/tls/certs",
    "protocols",
    "services",
    "ssl/certs",
    "ssl/openssl.cnf",
    "terminfo",
    "timezone",
];

/// Where the runner finds what is its own: its socket and its spool on the sandbox's disk, and the
/// count of processes ended for want of memory.
pub(crate) const CONTROL: &str = "/run/sandgate";
pub(crate) const OOM: &str = "/run/sandgate-oom";
pub(super) const RUNNER: &str = "/run/sandgate-runner";

/// A sandbox's view of the world.
#[derive(Clone, Debug)]
pub(crate) struct View<'a> {
    /// The sandbox's folder on the host.
    pub(crate) folder: &'a Path,
    /// Folder of our own files for /etc.
    pub(crate) etc: &'a Path,
    /// Whether it shares the host's network.
    pub(crate) network: bool,
    /// Whether it joins a user namespace made before, or makes its own.
    pub(crate) joins: bool,
    /// The runner on the host.
    pub(crate) runner: &'a Path,
    /// The host's count of processes ended for want of memory, where there is one.
    pub(crate) oom: Option<&'a Path>,
    /// Environment on top of the usual names.
    pub(crate) env: &'a BTreeMap<String, String>,
}

/// How the host has one of [`ROOTS`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Root {
    Link(&'static str, PathBuf),
    Folder(&'static str),
}

impl Root {
    /// What this host has.
    pub(super) fn found() -> Vec<Self> {
        let found = |name: &'static str| {
            let path = Path::new("/").join(name);
            match fs::read_link(&path) {
                Ok(target) => Some(Self::Link(name, target)),
                Err(_) => path.is_dir().then_some(Self::Folder(name)),
            }
        };
        ROOTS.into_iter().filter_map(found).collect()
    }
}

/// The options, each followed by a NUL, as `--args` reads them. They travel in a memory file, not
/// on the command line, where every user of the host could read a secret in the environment. None
/// where a value holds a NUL byte: it would begin a new option.
pub(super) fn encoded(view: &View<'_>, roots: &[Root]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for option in options(view, roots) {
        if option.as_bytes().contains(&0) {
            return None;
        }
        bytes.extend_from_slice(option.as_bytes());
        bytes.push(0);
    }
    Some(bytes)
}

fn options(view: &View<'_>, roots: &[Root]) -> Vec<OsString> {
    let mut list = Options::default();
    namespaces(&mut list, view);
    list.fd("--json-status-fd", STATUS_FD)
        .fd("--block-fd", BLOCK_FD);
    // The last one added is asked first; both deny, so the order does not matter.
    list.fd("--add-seccomp-fd", REFUSED_FD)
        .fd("--add-seccomp-fd", ABSENT_FD);
    programs(&mut list, roots);
    etc(&mut list, view);
    devices(&mut list);
    for (folder, seen) in ["workspace", "home", "tmp"]
        .into_iter()
        .zip(crate::store::MOUNTS)
    {
        list.add([
            "--bind".as_ref(),
            view.folder.join(folder).as_os_str(),
            seen.as_ref(),
        ]);
    }
    list.add([
        "--dir",
        "/run",
        "--dir",
        "/var",
        "--symlink",
        "../tmp",
        "/var/tmp",
    ]);
    runner(&mut list, view);
    list.add(["--remount-ro", "/", "--chdir", "/"]);
    environment(&mut list, view.env);
    list.0
}

fn namespaces(list: &mut Options, view: &View<'_>) {
    list.add([
        "--unshare-ipc",
        "--unshare-pid",
        "--unshare-uts",
        "--unshare-cgroup-try",
    ]);
    list.add(["--hostname", "sandbox"]);
    if !view.network {
        list.add(["--unshare-net"]);
    }
    if view.joins {
        list.fd("--userns", USERNS_FD);
    } else {
        list.add(["--unshare-user"]);
    }
    list.add(["--uid", UID, "--gid", UID, "--cap-drop", "ALL"]);
    // It outlives the provider: nothing here ties it to its parent.
    list.add(["--as-pid-1", "--new-session"]);
}

fn runner(list: &mut Options, view: &View<'_>) {
    let control = view.folder.join(crate::store::CONTROL);
    list.add(["--bind".as_ref(), control.as_os_str(), CONTROL.as_ref()]);
    list.add([
        "--ro-bind".as_ref(),
        view.runner.as_os_str(),
        RUNNER.as_ref(),
    ]);
    if let Some(oom) = view.oom {
        list.add(["--ro-bind".as_ref(), oom.as_os_str(), OOM.as_ref()]);
    }
}

fn programs(list: &mut Options, roots: &[Root]) {
    list.add(["--ro-bind", "/usr", "/usr"]);
    for root in roots {
        match root {
            Root::Link(name, target) => {
                list.add([
                    OsStr::new("--symlink"),
                    target.as_os_str(),
                    Path::new("/").join(name).as_os_str(),
                ]);
            }
            Root::Folder(name) => {
                let path = format!("/{name}");
                list.add(["--ro-bind", &path, &path]);
            }
        }
    }
}

/// The options that show the host's programs, and nothing else.
pub(super) fn bound(roots: &[Root]) -> Vec<OsString> {
    let mut list = Options::default();
    programs(&mut list, roots);
    list.0
}

fn etc(list: &mut Options, view: &View<'_>) {
    for name in ETC {
        let path = format!("/etc/{name}");
        list.add(["--ro-bind-try", &path, &path]);
    }
    for name in super::etc::NAMES {
        list.add([
            "--ro-bind".as_ref(),
            view.etc.join(name).as_os_str(),
            Path::new("/etc").join(name).as_os_str(),
        ]);
    }
    if view.network {
        list.add(["--ro-bind-try", "/etc/resolv.conf", "/etc/resolv.conf"]);
    }
}

fn devices(list: &mut Options) {
    list.add(["--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev"]);
    list.add([
        "--perms", "1777", "--size", SHM_BYTES, "--tmpfs", "/dev/shm",
    ]);
}

fn environment(list: &mut Options, env: &BTreeMap<String, String>) {
    list.add(["--clearenv"]);
    let usual = [
        ("PATH", PATH),
        ("HOME", HOME),
        ("USER", USER),
        ("LOGNAME", USER),
        ("LANG", "C.UTF-8"),
    ];
    for (name, value) in usual {
        list.add(["--setenv", name, value]);
    }
    for (name, value) in env {
        list.add(["--setenv", name, value]);
    }
}

#[derive(Default)]
struct Options(Vec<OsString>);

impl Options {
    fn add<T: AsRef<OsStr>>(&mut self, options: impl IntoIterator<Item = T>) -> &mut Self {
        self.0
            .extend(options.into_iter().map(|option| option.as_ref().to_owned()));
        self
    }

    fn fd(&mut self, option: &str, fd: i32) -> &mut Self {
        self.add([option, &fd.to_string()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(network: bool, joins: bool) -> String {
        let env = [("A".to_owned(), "b c".to_owned())].into();
        let view = View {
            folder: Path::new("/data/local/id"),
            etc: Path::new("/data/local/etc"),
            network,
            joins,
            runner: Path::new("/data/local/runner/r"),
            oom: Some(Path::new("/cgroup/id/memory.events")),
            env: &env,
        };
        let roots = [Root::Link("bin", "usr/bin".into()), Root::Folder("lib")];
        let options = options(&view, &roots);
        options
            .iter()
            .map(|option| option.to_str().unwrap())
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn the_view_is_closed_by_default() {
        let line = line(false, false);
        for part in [
            "--unshare-ipc --unshare-pid --unshare-uts --unshare-cgroup-try --hostname sandbox --unshare-net",
            "--unshare-user --uid 1000 --gid 1000 --cap-drop ALL --as-pid-1 --new-session",
            "--ro-bind /usr /usr --symlink usr/bin /bin --ro-bind /lib /lib",
            "--ro-bind /data/local/etc/passwd /etc/passwd",
            "--proc /proc --dev /dev --remount-ro /dev",
            "--bind /data/local/id/workspace /workspace --bind /data/local/id/home /home/sandbox --bind /data/local/id/tmp /tmp",
            "--bind /data/local/id/control /run/sandgate --ro-bind /data/local/runner/r /run/sandgate-runner",
            "--ro-bind /cgroup/id/memory.events /run/sandgate-oom --remount-ro / --chdir / --clearenv",
            "--setenv HOME /home/sandbox",
        ] {
            assert!(line.contains(part), "{part} is not in {line}");
        }
        assert!(line.ends_with("--setenv A b c"));
        for absent in [
            "resolv.conf",
            "--userns ",
            "/root",
            "/sys",
            "--ro-bind /etc ",
            "--share-net",
            "--die-with-parent",
        ] {
            assert!(!line.contains(absent), "{absent} is in {line}");
        }
    }

    #[test]
    fn network_and_a_joined_user_namespace_change_only_what_they_must() {
        let line = line(true, true);
        assert!(!line.contains("--unshare-net") && !line.contains("--unshare-user"));
        assert!(line.contains("--userns 8 --uid 1000"));
        assert!(line.contains("--ro-bind-try /etc/resolv.conf /etc/resolv.conf"));
    }

    #[test]
    fn a_nul_byte_cannot_smuggle_in_an_option() {
        let env = [("A".to_owned(), "b\0--bind\0/\0/host".to_owned())].into();
        let view = View {
            folder: Path::new("/d"),
            etc: Path::new("/e"),
            network: false,
            joins: false,
            runner: Path::new("/r"),
            oom: None,
            env: &env,
        };
        assert_eq!(encoded(&view, &[]), None);
    }
}
