//! What every Sandgate process does around its work: read its configuration, write its log, end on
//! a signal.

use std::{
    ffi::OsString,
    fs,
    future::Future,
    io::{IsTerminal as _, stderr},
    path::PathBuf,
    time::Duration,
};

use clap::{Args, Parser};
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::Drain;

/// Why a configuration could not be read.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read the configuration file {path}: {source}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The file is not a flat TOML table of flags.
    #[error("the configuration file {path} is not usable: {message}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A flag or an environment variable is wrong, or help was asked for.
    #[error(transparent)]
    Flags(#[from] clap::Error),
}

impl ConfigError {
    /// Prints what is wrong and ends the process: status 0 after help, 2 after a mistake.
    pub fn exit(&self) -> ! {
        match self {
            Self::Flags(error) => error.exit(),
            other => {
                eprintln!("{other}");
                std::process::exit(2)
            }
        }
    }
}

/// Flags that every process has.
#[derive(Args, Clone, Debug)]
pub struct ProcessArgs {
    /// TOML file with settings, named like the flags without `--`; flags and environment win
    #[arg(long, env = "SANDGATE_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What to log: a level or a list of `target=level`
    #[arg(
        long,
        env = "SANDGATE_LOG",
        default_value = "info",
        value_name = "FILTER"
    )]
    pub log: String,
    /// Log as JSON lines
    #[arg(long, env = "SANDGATE_LOG_JSON")]
    pub log_json: bool,
    /// Seconds that running calls get to finish when the process is told to end
    #[arg(
        long,
        env = "SANDGATE_DRAIN_SECONDS",
        default_value_t = 5,
        value_name = "SECONDS"
    )]
    pub drain_seconds: u64,
}

impl ProcessArgs {
    /// Sends the log to stderr. The first call in a process wins.
    pub fn init_log(&self) {
        let filter = EnvFilter::try_new(&self.log).unwrap_or_else(|_| EnvFilter::new("info"));
        let log = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_ansi(stderr().is_terminal())
            .with_writer(stderr);
        let _ = if self.log_json {
            log.json().try_init()
        } else {
            log.try_init()
        };
    }

    /// How long running calls get to finish.
    pub fn drain_grace(&self) -> Duration {
        Duration::from_secs(self.drain_seconds)
    }
}

/// Reads flags, then environment, then the TOML file that `--config` names, then defaults.
///
/// # Errors
/// Where one of them is malformed; the error says which.
pub fn load<P: Parser>(arguments: impl IntoIterator<Item = OsString>) -> Result<P, ConfigError> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let mut command = P::command();
    if let Some(path) = config_path(&arguments) {
        let text = fs::read_to_string(&path).map_err(|source| ConfigError::Read {
            path: path.clone(),
            source,
        })?;
        command = with_file(command, &path, &text)?;
    }
    let matches = command.try_get_matches_from(arguments)?;
    Ok(P::from_arg_matches(&matches)?)
}

/// The file named by `--config` or the environment, found before the flags are parsed in full.
fn config_path(arguments: &[OsString]) -> Option<PathBuf> {
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let argument = argument.to_string_lossy();
        if argument == "--config" {
            return arguments.next().map(PathBuf::from);
        }
        if let Some(path) = argument.strip_prefix("--config=") {
            return Some(PathBuf::from(path));
        }
    }
    std::env::var_os("SANDGATE_CONFIG").map(PathBuf::from)
}

/// Makes every entry of the file the default of the flag with its name, in the command and in its
/// subcommands.
fn with_file(
    command: clap::Command,
    path: &std::path::Path,
    text: &str,
) -> Result<clap::Command, ConfigError> {
    let wrong = |message: String| ConfigError::File {
        path: path.to_owned(),
        message,
    };
    let table: toml::Table = text
        .parse()
        .map_err(|error: toml::de::Error| wrong(error.to_string()))?;
    let mut command = command;
    for (name, value) in table {
        let value = match value {
            toml::Value::String(text) => text,
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Float(number) => number.to_string(),
            toml::Value::Boolean(flag) => flag.to_string(),
            _ => {
                return Err(wrong(format!(
                    "`{name}` must be a string, a number or a boolean"
                )));
            }
        };
        let (changed, found) = with_default(command, &name, &value);
        command = changed;
        if !found {
            return Err(wrong(format!(
                "`{name}` is no setting of this program; see --help"
            )));
        }
    }
    Ok(command)
}

fn with_default(command: clap::Command, flag: &str, value: &str) -> (clap::Command, bool) {
    let id = command
        .get_arguments()
        .find(|argument| argument.get_long() == Some(flag))
        .map(|argument| argument.get_id().clone());
    let mut found = id.is_some();
    let mut command = match id {
        Some(id) => command.mut_arg(id, |argument| argument.default_value(value.to_owned())),
        None => command,
    };
    let names: Vec<String> = command
        .get_subcommands()
        .map(|inner| inner.get_name().to_owned())
        .collect();
    for name in names {
        command = command.mut_subcommand(name, |inner| {
            let (inner, inside) = with_default(inner, flag, value);
            found |= inside;
            inner
        });
    }
    (command, found)
}

/// The user's folder for state, `$XDG_STATE_HOME/sandgate` or `~/.local/state/sandgate`; none where
/// the environment names neither.
pub fn state_home() -> Option<PathBuf> {
    let absolute = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
        .map(|state| state.join("sandgate"))
}

/// Resolves at the first SIGTERM or SIGINT.
///
/// # Errors
/// Where the process cannot listen for signals.
pub async fn end_signal() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Waits for `served`, the end of a server; begins its drain at the first SIGTERM or SIGINT, and cuts
/// what still runs after `grace`, or at the second.
///
/// # Errors
/// Where the process cannot listen for signals.
pub async fn until_drained(
    drain: Drain,
    grace: Duration,
    served: impl Future<Output = ()>,
) -> std::io::Result<()> {
    let signals = async {
        end_signal().await?;
        tracing::info!(grace_seconds = grace.as_secs(), "draining");
        tokio::select! {
            () = drain.run(grace) => {}
            again = end_signal() => {
                drain.cut();
                again?;
            }
        }
        std::io::Result::Ok(())
    };
    tokio::pin!(served);
    tokio::select! {
        () = &mut served => Ok(()),
        result = signals => {
            result?;
            served.await;
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Parser)]
    struct Sample {
        #[command(flatten)]
        process: ProcessArgs,
        #[arg(long)]
        title: Option<String>,
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        file
    }

    fn arguments(file: &tempfile::NamedTempFile, more: &[&str]) -> Vec<OsString> {
        let mut all = vec!["sample".into(), "--config".into(), file.path().into()];
        all.extend(more.iter().map(OsString::from));
        all
    }

    #[test]
    fn the_file_is_a_default_and_a_flag_wins() {
        let file = file("title = 'from the file'\ndrain-seconds = 9\nlog-json = true");
        let sample: Sample = load(arguments(&file, &[])).unwrap();
        assert_eq!(sample.title.as_deref(), Some("from the file"));
        assert_eq!(sample.process.drain_grace(), Duration::from_secs(9));
        assert!(sample.process.log_json);
        let sample: Sample = load(arguments(&file, &["--title", "flag"])).unwrap();
        assert_eq!(sample.title.as_deref(), Some("flag"));
    }

    #[test]
    fn an_unknown_or_nested_setting_is_refused_by_name() {
        for text in ["tilte = 'x'", "title = ['x']", "title = "] {
            let file = file(text);
            let error = load::<Sample>(arguments(&file, &[])).err().unwrap();
            assert!(matches!(error, ConfigError::File { .. }), "{text}: {error}");
        }
    }
}
