//! Tells whether this machine can run sandboxes, and what to do where it cannot.

use std::{fs, path::Path};

use uuid::Uuid;

use crate::{
    bwrap::{UserNamespace, trial, version},
    config::Config,
    identity::Identity,
    limits::{Mechanism, detect},
};

/// Oldest bubblewrap that has all the options used.
const LEAST_VERSION: (u32, u32) = (0, 8);

/// What was found out about one need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether it is met.
    pub ok: bool,
    /// What was found, in a few words.
    pub found: String,
    /// What to do about it; empty where there is nothing to do.
    pub advice: String,
}

impl Finding {
    fn good(found: impl Into<String>) -> Self {
        Self {
            ok: true,
            found: found.into(),
            advice: String::new(),
        }
    }

    fn bad(found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            ok: false,
            found: found.into(),
            advice: advice.into(),
        }
    }
}

/// Whether sandboxes can run on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The program bubblewrap.
    pub bwrap: Finding,
    /// Whether it could really make a sandbox for this user.
    pub namespaces: Finding,
    /// How limits are kept: `cgroup v2`, `cgroup v1` or `rlimits`. The last is not ok, but sandboxes
    /// run with it.
    pub limits: Finding,
}

impl Probe {
    /// Whether sandboxes can run here.
    pub fn usable(&self) -> bool {
        self.bwrap.ok && self.namespaces.ok
    }

    /// The first advice that must be followed before a sandbox can run.
    pub fn advice(&self) -> Option<&str> {
        let needed = [&self.bwrap, &self.namespaces].into_iter();
        needed
            .filter(|finding| !finding.ok)
            .map(|finding| finding.advice.as_str())
            .next()
    }
}

/// Looks at this machine and really tries to make a sandbox. Takes some 20 ms, at most 25 s; leaves
/// nothing behind.
pub async fn probe(config: &Config) -> Probe {
    let bwrap = bwrap(&config.bwrap).await;
    let namespaces = if bwrap.ok {
        namespaces(&config.bwrap).await
    } else {
        Finding::bad("not tried without bwrap", bwrap.advice.clone())
    };
    Probe {
        bwrap,
        namespaces,
        limits: limits(),
    }
}

async fn bwrap(program: &Path) -> Finding {
    match version(program).await {
        Err(error) => Finding::bad(
            format!("{} cannot be run ({})", program.display(), error.kind()),
            "install bubblewrap 0.8 or newer: `apt-get install bubblewrap`, `dnf install bubblewrap`, `apk add bubblewrap`; if it is not in PATH, set SANDGATE_BWRAP",
        ),
        Ok(text) if is_new_enough(&text) => Finding::good(text),
        Ok(text) => Finding::bad(
            if text.is_empty() {
                "not bubblewrap".into()
            } else {
                text
            },
            "install bubblewrap 0.8 or newer, or set SANDGATE_BWRAP to one",
        ),
    }
}

fn is_new_enough(text: &str) -> bool {
    let Some(version) = text.strip_prefix("bubblewrap ") else {
        return false;
    };
    let mut parts = version.split('.').map(|part| part.parse::<u32>().ok());
    matches!((parts.next(), parts.next()), (Some(Some(major)), Some(Some(minor))) if (major, minor) >= LEAST_VERSION)
}

async fn namespaces(program: &Path) -> Finding {
    let tried = async {
        // Any sandbox's user does; nothing is owned by this one.
        match Identity::detect().of(Uuid::nil()) {
            None => trial(program, None).await,
            Some(user) => {
                let users = UserNamespace::make(user).await?;
                trial(program, Some(&users)).await
            }
        }
    };
    match tried.await {
        Ok(()) => Finding::good("a sandbox could be made"),
        Err(error) => Finding::bad(format!("no sandbox could be made: {error}"), advice()),
    }
}

/// What most likely stands in the way.
fn advice() -> &'static str {
    let setting = |path: &str| fs::read_to_string(path).map(|text| text.trim().to_owned());
    let is = |path, value| setting(path).is_ok_and(|text| text == value);
    let user = !rustix::process::geteuid().is_root();
    if user
        && is(
            "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
            "1",
        )
    {
        "AppArmor keeps ordinary users from making user namespaces (Ubuntu 23.10 and newer): install the profile for bwrap (`apt-get install apparmor-profiles`, then load /usr/share/apparmor/extra-profiles/bwrap-userns-restrict), or `sysctl kernel.apparmor_restrict_unprivileged_userns=0`, or run the provider as root"
    } else if user && is("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        "ordinary users may not make user namespaces: `sysctl kernel.unprivileged_userns_clone=1`, or run the provider as root"
    } else if is("/proc/sys/user/max_user_namespaces", "0") {
        "user namespaces are switched off: `sysctl user.max_user_namespaces=10000`"
    } else if Path::new("/.dockerenv").exists() || Path::new("/run/.containerenv").exists() {
        "this seems to be a container, which may not make namespaces: run it with `--privileged`, or with `--security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined`; or use the container provider"
    } else {
        "check that the kernel has user namespaces (CONFIG_USER_NS) and that `bwrap --unshare-all --ro-bind / / true` works; the provider's log has bwrap's own words"
    }
}

fn limits() -> Finding {
    let mechanism = detect().mechanism();
    if mechanism != Mechanism::Rlimits {
        return Finding::good(mechanism.to_string());
    }
    let advice = if rustix::process::geteuid().is_root() {
        "no control groups can be made, so memory is limited for each process only and CPU not at all: in a container, mount /sys/fs/cgroup writable (`--cgroupns=host -v /sys/fs/cgroup:/sys/fs/cgroup`)"
    } else {
        "no control groups can be made, so memory is limited for each process only and CPU not at all: start the provider with `systemd-run --user --scope -p Delegate=yes …`, or as a service with Delegate=yes"
    };
    Finding::bad(mechanism.to_string(), advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        for new in ["bubblewrap 0.8.0", "bubblewrap 0.11.1", "bubblewrap 1.0"] {
            assert!(is_new_enough(new), "{new}");
        }
        for old in ["bubblewrap 0.7.9", "bubblewrap", "", "other 1.0"] {
            assert!(!is_new_enough(old), "{old}");
        }
    }

    #[tokio::test]
    async fn a_missing_program_comes_with_advice() {
        let mut config = Config::new("/nowhere");
        config.bwrap = "/nowhere/bwrap".into();
        let probe = probe(&config).await;
        assert!(!probe.usable());
        assert!(
            probe
                .advice()
                .unwrap()
                .contains("apt-get install bubblewrap")
        );
    }
}
