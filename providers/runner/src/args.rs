//! Reads the command line: what to do, and with which options.

mod given;
mod usage;

use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
    time::Duration,
};

use self::given::Given;
pub(crate) use self::usage::Usage;
use crate::git::Forget;

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
    /// Works on files for the connection that it was given.
    Files,
    /// Clones a repository, as its input says.
    Clone,
    /// Lends a token to the user's git, as its input says.
    Credentials,
    /// Asks for that token, as git's credential helper: at this descriptor, for this operation.
    Lend(i32, String),
    /// Removes a file later.
    Forget(Forget),
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
        Some("files" | "clone" | "credentials" | "version" | "--version") => &[],
        Some("lend" | "forget") => return own_call(&mode, args).ok_or(Usage::Mode),
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
        Some("files") => Mode::Files,
        Some("clone") => Mode::Clone,
        Some("credentials") => Mode::Credentials,
        _ => Mode::Version,
    })
}

/// What this program, or git, calls it with; never a person.
fn own_call(mode: &OsStr, args: impl Iterator<Item = OsString>) -> Option<Mode> {
    let words: Option<Vec<String>> = args.map(|word| word.into_string().ok()).collect();
    let words = words?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    Some(match (mode.to_str()?, &words[..]) {
        ("lend", [socket, operation]) => Mode::Lend(socket.parse().ok()?, (*operation).to_owned()),
        ("forget", [path, until]) => Mode::Forget(Forget {
            path: path.into(),
            until: until.parse().ok()?,
        }),
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
