//! Reads the command line: what to do, and with which options.

mod usage;

use std::{ffi::OsString, path::PathBuf, time::Duration};

pub(crate) use usage::Usage;

/// What the program is to do.
#[derive(Debug, PartialEq)]
pub(crate) enum Mode {
    /// Holds all executions of a sandbox.
    Init(Init, Options),
    /// Holds one execution, read from standard input, in a folder below this one.
    Run(PathBuf, Options),
    /// Copies between standard input and output and a socket.
    Bridge(PathBuf),
    /// Sends what the environment holds to a socket, and copies the answers.
    Visit(Visit),
    /// Says its version.
    Version,
}

/// What `visit` takes.
#[derive(Debug, PartialEq)]
pub(crate) struct Visit {
    /// Where the runner listens.
    pub(crate) socket: PathBuf,
    /// What to start one with where none does; empty: none is started.
    pub(crate) init: Vec<OsString>,
}

/// What `init` alone takes.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Init {
    /// Where it listens.
    pub(crate) socket: PathBuf,
    /// Folder for output past what is held in memory.
    pub(crate) spool_dir: Option<PathBuf>,
    /// Holds the secret that a Hello through a bridge carries.
    pub(crate) secret_file: Option<PathBuf>,
    /// Name and generation of the sandbox.
    pub(crate) sandbox: Option<(String, u64)>,
    /// Holds more of the environment of all executions: NAME=value, each with a NUL behind it.
    pub(crate) env_file: Option<PathBuf>,
    /// Leaves the session of whoever started it.
    pub(crate) detached: bool,
    /// Started besides; empty: nothing.
    pub(crate) command: Vec<OsString>,
}

/// What both ways to hold executions take.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Options {
    /// Bytes kept of a channel.
    pub(crate) output_limit: u64,
    /// Bytes kept of all executions.
    pub(crate) total_limit: u64,
    /// Between TERM and KILL.
    pub(crate) grace: Duration,
    /// Folder of commands that name none.
    pub(crate) cwd: PathBuf,
    /// User of commands that name none; empty: the runner's own.
    pub(crate) user: String,
    /// Control group that the host supplies.
    pub(crate) cgroup: Option<PathBuf>,
    /// The host's count of processes killed for memory.
    pub(crate) oom_file: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            output_limit: 64 << 20,
            total_limit: 256 << 20,
            grace: Duration::from_secs(2),
            cwd: PathBuf::from("/"),
            user: String::new(),
            cgroup: None,
            oom_file: None,
        }
    }
}

/// Every option and what its value is.
const OPTIONS: &[(&str, &str)] = &[
    ("--socket", "a path"),
    ("--dir", "a folder"),
    (
        "--id",
        "the id of an execution: 1 to 128 of A-Z a-z 0-9 . _ -",
    ),
    ("--output-limit", "a number of bytes, at least 131072"),
    ("--total-limit", "a number of bytes"),
    ("--grace", "a number of milliseconds"),
    ("--cwd", "an absolute folder"),
    ("--user", "a user"),
    ("--spool-dir", "a folder"),
    ("--cgroup", "a folder"),
    ("--oom-file", "a file"),
    ("--env-file", "a file"),
    ("--secret-file", "a file"),
    ("--sandbox", "an id, and --generation with it"),
    ("--generation", "a number, and --sandbox with it"),
];

/// Options that both `init` and `run` have.
const COMMON: &[&str] = &[
    "--output-limit",
    "--total-limit",
    "--grace",
    "--cwd",
    "--user",
    "--cgroup",
    "--oom-file",
];

/// The options as they were given.
struct Given {
    values: Vec<(&'static str, OsString)>,
    detached: bool,
    command: Vec<OsString>,
}

/// Reads a command line, the program's own name left out.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Mode, Usage> {
    let mut args = args.into_iter();
    let mode = args.next().ok_or(Usage::Mode)?;
    let own: &[&str] = match mode.to_str() {
        Some("init") => &[
            "--socket",
            "--spool-dir",
            "--env-file",
            "--secret-file",
            "--sandbox",
            "--generation",
            "--detached",
            "--",
        ],
        Some("run") => &["--dir"],
        Some("bridge") => &["--socket", "--secret-file"],
        Some("ctl") => &["--dir", "--id"],
        Some("visit") => &["--socket", "--"],
        Some("version" | "--version") => &[],
        _ => return Err(Usage::Mode),
    };
    let holds = own.contains(&"--spool-dir") || own == ["--dir"];
    let common = if holds { COMMON } else { &[] };
    let mut given = Given::read(args, &[own, common].concat())?;
    Ok(match mode.to_str() {
        Some("init") => Mode::Init(given.init()?, given.options()?),
        Some("run") => Mode::Run(given.folder()?, given.options()?),
        Some("bridge") => Mode::Bridge(given.need("--socket")?.into()),
        Some("ctl") => Mode::Bridge(given.control()?),
        Some("visit") => Mode::Visit(Visit {
            socket: given.need("--socket")?.into(),
            init: given.command,
        }),
        _ => Mode::Version,
    })
}

impl Given {
    fn read(mut args: impl Iterator<Item = OsString>, allowed: &[&str]) -> Result<Self, Usage> {
        let mut given = Self {
            values: Vec::new(),
            detached: false,
            command: Vec::new(),
        };
        while let Some(arg) = args.next() {
            let known = OPTIONS
                .iter()
                .find(|(name, _)| *name == arg && allowed.contains(name));
            match known {
                Some((name, what)) => {
                    let value = args.next().filter(|value| !value.is_empty());
                    given
                        .values
                        .push((name, value.ok_or(Usage::Value(name, what))?));
                }
                None if arg == "--detached" && allowed.contains(&"--detached") => {
                    given.detached = true;
                }
                None if arg == "--" && allowed.contains(&"--") => {
                    given.command = args.by_ref().collect()
                }
                None => return Err(Usage::Unknown(arg.to_string_lossy().into_owned())),
            }
        }
        Ok(given)
    }

    /// The last value of an option.
    fn take(&mut self, name: &'static str) -> Option<OsString> {
        let at = self.values.iter().rposition(|(given, _)| *given == name)?;
        Some(self.values.remove(at).1)
    }

    fn need(&mut self, name: &'static str) -> Result<OsString, Usage> {
        self.take(name).ok_or(Usage::Missing(name))
    }

    fn text(&mut self, name: &'static str) -> Result<Option<String>, Usage> {
        self.take(name)
            .map(|value| value.into_string().map_err(|_| bad(name)))
            .transpose()
    }

    fn number(&mut self, name: &'static str) -> Result<Option<u64>, Usage> {
        let text = self.text(name)?;
        text.map(|text| text.parse().map_err(|_| bad(name)))
            .transpose()
    }

    fn folder(&mut self) -> Result<PathBuf, Usage> {
        self.need("--dir").map(PathBuf::from)
    }

    /// The control socket of an execution that `run` holds.
    fn control(&mut self) -> Result<PathBuf, Usage> {
        let folder = self.folder()?;
        let id = self.text("--id")?.ok_or(Usage::Missing("--id"))?;
        if !crate::execution::is_id(&id) {
            return Err(bad("--id"));
        }
        Ok(folder.join(id).join("control"))
    }

    fn init(&mut self) -> Result<Init, Usage> {
        let sandbox = match (self.text("--sandbox")?, self.number("--generation")?) {
            (Some(id), Some(generation)) => Some((id, generation)),
            (None, None) => None,
            (Some(_), None) => return Err(bad("--sandbox")),
            (None, Some(_)) => return Err(bad("--generation")),
        };
        Ok(Init {
            socket: self.need("--socket")?.into(),
            spool_dir: self.take("--spool-dir").map(PathBuf::from),
            env_file: self.take("--env-file").map(PathBuf::from),
            secret_file: self.take("--secret-file").map(PathBuf::from),
            sandbox,
            detached: self.detached,
            command: std::mem::take(&mut self.command),
        })
    }

    fn options(&mut self) -> Result<Options, Usage> {
        let mut options = Options::default();
        if let Some(limit) = self.number("--output-limit")? {
            if limit < 128 * 1024 {
                return Err(bad("--output-limit"));
            }
            options.output_limit = limit;
        }
        options.total_limit = self.number("--total-limit")?.unwrap_or(options.total_limit);
        if let Some(millis) = self.number("--grace")? {
            options.grace = Duration::from_millis(millis.min(600_000));
        }
        if let Some(cwd) = self.take("--cwd") {
            options.cwd = cwd.into();
            if !options.cwd.is_absolute() {
                return Err(bad("--cwd"));
            }
        }
        options.user = self.text("--user")?.unwrap_or_default();
        options.cgroup = self.take("--cgroup").map(PathBuf::from);
        options.oom_file = self.take("--oom-file").map(PathBuf::from);
        Ok(options)
    }
}

fn bad(name: &'static str) -> Usage {
    let what = OPTIONS.iter().find(|(known, _)| *known == name);
    Usage::Value(name, what.map_or("a value", |(_, what)| what))
}

#[cfg(test)]
mod tests;
