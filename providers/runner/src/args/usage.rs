//! How the program is called, and what is said of a command line that cannot be understood.

use thiserror::Error;

const USAGE: &str = "usage:
  sandgate-runner init --socket PATH [OPTIONS] [--spool-dir DIR] [--secret-file FILE]
                       [--env-file FILE] [--sandbox ID --generation N] [--detached]
                       [-- COMMAND...]
  sandgate-runner run --dir DIR [OPTIONS]
  sandgate-runner bridge --socket PATH
  sandgate-runner ctl --dir DIR --id ID
  sandgate-runner visit --socket PATH [-- OPTIONS OF init]
  sandgate-runner version
OPTIONS:
  --output-limit BYTES  kept of a channel (67108864, at least 131072)
  --total-limit BYTES   kept of all executions (268435456)
  --grace MILLIS        between TERM and KILL (2000)
  --cwd DIR  --user USER  --cgroup DIR  --oom-file FILE";

/// The command line cannot be understood.
#[derive(Debug, Error, PartialEq)]
pub(crate) enum Usage {
    /// No mode, or one that does not exist.
    #[error("name what to do: init, run, bridge, ctl, visit or version\n{USAGE}")]
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
