//! Reads the command line: what to do, and with which options.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use thiserror::Error;

const USAGE: &str = "usage:
  sandgate-runner init --socket PATH [OPTIONS] [--spool-dir DIR] [--secret-file FILE]
                       [--sandbox ID --generation N] [-- COMMAND...]
  sandgate-runner run --dir DIR [OPTIONS]
  sandgate-runner bridge --socket PATH
  sandgate-runner ctl --dir DIR --id ID
  sandgate-runner version
OPTIONS:
  --output-limit BYTES  kept of a channel (67108864, at least 131072)
  --total-limit BYTES   kept of all executions (268435456)
  --grace MILLIS        between TERM and KILL (2000)
  --cwd DIR  --user USER  --cgroup DIR  --oom-file FILE";

/// What the program is to do.
#[derive(Debug, PartialEq)]
pub(crate) enum Mode {
    /// Holds all executions of a sandbox.
    Init(Init, Options),
    /// Holds one execution, read from standard input, in a folder below this one.
    Run(PathBuf, Options),
    /// Copies between standard input and output and a socket.
    Bridge(PathBuf),
    /// Says its version.
    Version,
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

/// The command line cannot be understood.
#[derive(Debug, Error, PartialEq)]
pub(crate) enum Usage {
    /// No mode, or one that does not exist.
    #[error("name what to do: init, run, bridge, ctl or version\n{USAGE}")]
    Mode,
    /// An option that this mode does not have.
    #[error("{0} is no option of this mode\n{USAGE}")]
    Unknown(String),
    /// An option that needs a value, or a better one.
    #[error("{0} needs {1}\n{USAGE}")]
    Value(&'static str, &'static str),
    /// An option that must be there.
    #[error("{0} must be given\n{USAGE}")]
    Missing(&'static str),
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
            "--secret-file",
            "--sandbox",
            "--generation",
            "--",
        ],
        Some("run") => &["--dir"],
        Some("bridge") => &["--socket", "--secret-file"],
        Some("ctl") => &["--dir", "--id"],
        Some("version" | "--version") => &[],
        _ => return Err(Usage::Mode),
    };
    let holds = own.contains(&"--") || own == ["--dir"];
    let common = if holds { COMMON } else { &[] };
    let mut given = Given::read(args, &[own, common].concat())?;
    Ok(match mode.to_str() {
        Some("init") => Mode::Init(given.init()?, given.options()?),
        Some("run") => Mode::Run(given.folder()?, given.options()?),
        Some("bridge") => Mode::Bridge(given.need("--socket")?.into()),
        Some("ctl") => Mode::Bridge(given.control()?),
        _ => Mode::Version,
    })
}

impl Given {
    fn read(mut args: impl Iterator<Item = OsString>, allowed: &[&str]) -> Result<Self, Usage> {
        let mut given = Self {
            values: Vec::new(),
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
            secret_file: self.take("--secret-file").map(PathBuf::from),
            sandbox,
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
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Mode, Usage> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn init_takes_everything() {
        let line = "init --socket /s --cwd /v --output-limit 200000 --total-limit 5 --grace 7 --cwd /w \
            --user me --spool-dir /p --cgroup /c --oom-file /o --secret-file /f --sandbox x --generation 3 -- sh -c --socket";
        let Ok(Mode::Init(init, options)) = read(line) else {
            panic!()
        };
        assert_eq!(init.sandbox, Some(("x".to_owned(), 3)));
        assert_eq!(init.command, ["sh", "-c", "--socket"]);
        assert_eq!(init.secret_file, Some("/f".into()));
        assert_eq!(options.grace, Duration::from_millis(7));
        assert_eq!(options.oom_file, Some("/o".into()));
        assert_eq!((options.output_limit, options.total_limit), (200_000, 5));
        assert_eq!((options.user.as_str(), options.cwd), ("me", "/w".into()));
    }

    #[test]
    fn other_modes() {
        assert_eq!(
            read("run --dir /d"),
            Ok(Mode::Run("/d".into(), Options::default()))
        );
        assert_eq!(
            read("ctl --dir /d --id a.b"),
            Ok(Mode::Bridge("/d/a.b/control".into()))
        );
        assert_eq!(read("bridge --socket /s"), Ok(Mode::Bridge("/s".into())));
        assert_eq!(read("version"), Ok(Mode::Version));
    }

    #[test]
    fn mistakes_are_named() {
        for (line, part) in [
            ("", "name what to do"),
            ("walk", "name what to do"),
            ("init", "--socket must be given"),
            ("init --socket", "--socket needs a path"),
            ("init --socket /s --grace soon", "--grace needs a number"),
            ("init --socket /s --sandbox x", "--sandbox needs an id"),
            ("init --socket /s --output-limit 1", "at least 131072"),
            ("init --socket /s --cwd here", "an absolute folder"),
            ("init --socket /s --dir /d", "--dir is no option"),
            ("run --dir /d -- sh", "-- is no option"),
            ("ctl --dir /d --id ../x", "--id needs"),
            ("version --user x", "--user is no option"),
        ] {
            let message = read(line).unwrap_err().to_string();
            assert!(message.contains(part), "{line}: {message}");
            assert!(message.contains("usage:"), "{line}: {message}");
        }
    }
}
