//! The runner as PID 1 of a container: where it is inside, and with what it is started.

use crate::Config;

/// The program.
pub(crate) const PROGRAM: &str = "/run/sandgate-runner";
/// The folder that holds its socket.
pub(crate) const FOLDER: &str = "/run/sandgate";
/// Its socket, and the name of that in its folder.
pub(crate) const SOCKET: &str = "/run/sandgate/control";
pub(crate) const SOCKET_NAME: &str = "control";
/// The secret that callers through a bridge have to know.
pub(crate) const SECRET: &str = "/run/sandgate/secret";
/// Output past what is in memory: in the container's own layer, never on the host's disk.
const SPOOL: &str = "/run/sandgate-spool";
/// The control group that the host supplies.
pub(crate) const CGROUP: &str = "/run/sandgate-cgroup";
/// As many bytes of all executions together as this many times the limit of one channel.
const TOTAL: u64 = 4;

/// What differs between two runners.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Folder of commands that name none.
    pub(crate) workdir: String,
    /// User of commands that name none; empty: root.
    pub(crate) user: String,
    /// Id and generation; none: the first Hello says them.
    pub(crate) sandbox: Option<(String, u64)>,
    /// It is reached by a bridge, so callers need a secret.
    pub(crate) secret: bool,
    /// A control group is mounted.
    pub(crate) cgroup: bool,
}

/// The arguments of the program.
pub(crate) fn arguments(config: &Config, settings: &Settings) -> Vec<String> {
    let total = config.output_limit.saturating_mul(TOTAL);
    let mut all = vec!["init".to_owned()];
    let mut add = |name: &str, value: &str| all.extend([name.to_owned(), value.to_owned()]);
    add("--socket", SOCKET);
    add("--cwd", &settings.workdir);
    if !settings.user.is_empty() {
        add("--user", &settings.user);
    }
    add("--output-limit", &config.output_limit.to_string());
    add("--total-limit", &total.to_string());
    add("--spool-dir", SPOOL);
    if settings.cgroup {
        add("--cgroup", CGROUP);
    }
    if settings.secret {
        add("--secret-file", SECRET);
    }
    if let Some((id, generation)) = &settings.sandbox {
        add("--sandbox", id);
        add("--generation", &generation.to_string());
    }
    all
}

/// The user that commands of a runner with these arguments have.
pub(crate) fn user_in(arguments: &[String]) -> &str {
    let mut pairs = arguments.windows(2).skip(1).step_by(2);
    pairs
        .find(|pair| pair[0] == "--user")
        .map_or("", |pair| &pair[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runner_is_told_what_it_needs() {
        let config = Config {
            output_limit: 1 << 20,
            ..Config::default()
        };
        let settings = Settings {
            workdir: "--user".into(),
            user: "daemon".into(),
            sandbox: Some(("id".into(), 3)),
            secret: true,
            cgroup: true,
        };
        let all = arguments(&config, &settings);
        assert_eq!(
            all.join(" "),
            "init --socket /run/sandgate/control --cwd --user --user daemon --output-limit 1048576 --total-limit 4194304 --spool-dir /run/sandgate-spool --cgroup /run/sandgate-cgroup --secret-file /run/sandgate/secret --sandbox id --generation 3"
        );
        assert_eq!(user_in(&all), "daemon");
        let plain = arguments(&config, &Settings::default());
        assert_eq!(user_in(&plain), "");
        assert_eq!(plain.len(), 11);
    }
}
