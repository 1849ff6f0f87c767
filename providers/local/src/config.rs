//! How the local provider is configured. The only place that reads the environment.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
};

use clap::Parser;
use sandgate_kit::{Kind, KitArgs, ProviderError};

use crate::size::OutputLimit;

/// Limits of a sandbox that asks for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// Thousandths of a CPU.
    pub cpu_millis: u64,
    /// Processes and threads.
    pub pids: u64,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            memory_bytes: 2 << 30,
            cpu_millis: 1000,
            pids: 256,
        }
    }
}

/// All that the provider needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Folder for what must survive; sandboxes are below `local/` in it.
    pub data_dir: PathBuf,
    /// The program bubblewrap.
    pub bwrap: PathBuf,
    /// Limits of a sandbox that asks for none.
    pub defaults: Defaults,
    /// Output kept of one channel of an execution; of a whole sandbox four times as much.
    pub output_limit: OutputLimit,
}

impl Config {
    /// The defaults, with `bwrap` from PATH.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            bwrap: in_path("bwrap", env::var_os("PATH").as_deref()),
            defaults: Defaults::default(),
            output_limit: OutputLimit::default(),
        }
    }
}

/// Runs sandboxes in Linux namespaces on this machine
#[derive(Clone, Debug, Parser)]
#[command(name = "sandgate-provider-local", version)]
pub struct Args {
    /// Folder for what must survive [default: $XDG_STATE_HOME/sandgate or ~/.local/state/sandgate]
    #[arg(long, env = "SANDGATE_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// The program bubblewrap [default: bwrap from PATH]
    #[arg(long, env = "SANDGATE_BWRAP", value_name = "FILE")]
    pub bwrap: Option<PathBuf>,
    /// Memory of a sandbox that asks for none, bytes
    #[arg(long, env = "SANDGATE_MEMORY_BYTES", default_value_t = Defaults::default().memory_bytes, value_name = "BYTES")]
    pub memory_bytes: u64,
    /// CPU of a sandbox that asks for none, thousandths of a core
    #[arg(long, env = "SANDGATE_CPU_MILLIS", default_value_t = Defaults::default().cpu_millis, value_name = "MILLIS")]
    pub cpu_millis: u64,
    /// Processes and threads of a sandbox that asks for none
    #[arg(long, env = "SANDGATE_PIDS", default_value_t = Defaults::default().pids, value_name = "COUNT")]
    pub pids: u64,
    /// Output kept of one channel of a command: bytes, or with KiB, MiB or GiB; of a sandbox four times as much
    #[arg(long, env = "SANDGATE_OUTPUT_LIMIT", default_value_t = OutputLimit::default(), value_name = "SIZE")]
    pub output_limit: OutputLimit,
    /// Settings that every provider has
    #[command(flatten)]
    pub kit: KitArgs,
}

impl Args {
    /// The configuration that these arguments stand for.
    ///
    /// # Errors
    /// Where no data folder is given and the environment names no home.
    pub fn config(&self) -> Result<Config, ProviderError> {
        let data_dir = self.data_dir.clone().or_else(state_home).ok_or_else(|| {
            ProviderError::new(
                Kind::Internal,
                "neither HOME nor XDG_STATE_HOME is set: give --data-dir",
            )
        })?;
        let mut config = Config::new(data_dir);
        if let Some(bwrap) = &self.bwrap {
            config.bwrap.clone_from(bwrap);
        }
        config.output_limit = self.output_limit;
        config.defaults = Defaults {
            memory_bytes: self.memory_bytes,
            cpu_millis: self.cpu_millis,
            pids: self.pids,
        };
        Ok(config)
    }
}

fn state_home() -> Option<PathBuf> {
    let absolute = |name| {
        env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
        .map(|state| state.join("sandgate"))
}

/// The program's place in `path`; its bare name where it is in none of the folders.
fn in_path(program: &str, path: Option<&OsStr>) -> PathBuf {
    path.map(|path| env::split_paths(path).collect::<Vec<_>>())
        .unwrap_or_default()
        .iter()
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
        .unwrap_or_else(|| Path::new(program).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_folder_of_path_that_has_it_wins() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("thing");
        std::fs::write(&program, "").unwrap();
        let path = env::join_paths([Path::new("/nowhere"), folder.path()]).unwrap();
        assert_eq!(in_path("thing", Some(&path)), program);
        assert_eq!(in_path("other", Some(&path)), Path::new("other"));
        assert_eq!(in_path("thing", None), Path::new("thing"));
    }

    #[test]
    fn flags_become_the_configuration() {
        let args = Args::parse_from(["x", "--data-dir", "/data", "--bwrap", "/b", "--pids", "9"]);
        let config = args.config().unwrap();
        assert_eq!(
            (config.data_dir, config.bwrap),
            ("/data".into(), "/b".into())
        );
        assert_eq!(config.defaults.pids, 9);
        assert_eq!(config.defaults.memory_bytes, 2 << 30);
    }
}
