//! What a sandbox sees of the machine, as options of bwrap.

use std::{ffi::OsString, path::Path};

use super::{PATH, Plan};

/// What root inside can do beyond its own files: what container engines leave it.
const CAPABILITIES: [&str; 10] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
];

/// What of the machine's /etc programs need and is not private; what names users is our own.
const ETC: [&str; 14] = [
    "alternatives",
    "ca-certificates",
    "ca-certificates.conf",
    "debian_version",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "mime.types",
    "os-release",
    "protocols",
    "services",
    "ssl",
    "terminfo",
];

/// Folders beside /usr that hold programs, where they are no links into it.
const ROOTS: [&str; 4] = ["bin", "sbin", "lib", "lib64"];

/// The options, and what is to be started.
pub(super) fn options(plan: &Plan<'_>) -> Vec<OsString> {
    let mut list = List(Vec::new());
    list.words("--unshare-pid --unshare-ipc --unshare-uts --hostname e2b.local");
    if !plan.internet {
        list.words("--unshare-net");
    }
    list.words("--die-with-parent --new-session --cap-drop ALL");
    for name in CAPABILITIES {
        list.add(["--cap-add", name]);
    }
    list.bind("--bind", &plan.folder.join("root"), "/");
    list.words("--ro-bind /usr /usr");
    list.bind("--bind", &plan.folder.join("local"), "/usr/local");
    for name in ROOTS {
        let path = Path::new("/").join(name);
        if path.is_dir() && !path.is_symlink() {
            list.bind("--ro-bind", &path, &format!("/{name}"));
        }
    }
    for name in ETC {
        let path = format!("/etc/{name}");
        list.add(["--ro-bind-try", &path, &path]);
    }
    if plan.internet {
        list.words("--ro-bind-try /etc/resolv.conf /etc/resolv.conf");
    }
    list.words("--proc /proc --dev /dev --perms 1777 --size 67108864 --tmpfs /dev/shm");
    list.bind("--bind", &plan.folder.join("own"), "/.emulator");
    list.bind("--ro-bind", plan.program, "/.emulator/program");
    list.words("--chdir / --clearenv --setenv PATH");
    list.add([PATH]);
    list.words("-- /.emulator/program");
    list.add(plan.arguments);
    list.0
}

struct List(Vec<OsString>);

impl List {
    fn add<T: AsRef<std::ffi::OsStr>>(&mut self, options: impl IntoIterator<Item = T>) {
        let owned = options.into_iter().map(|option| option.as_ref().to_owned());
        self.0.extend(owned);
    }

    fn words(&mut self, options: &str) {
        self.add(options.split(' '));
    }

    fn bind(&mut self, option: &str, from: &Path, to: &str) {
        self.add([option.as_ref(), from.as_os_str(), to.as_ref()]);
    }
}
