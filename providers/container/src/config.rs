//! Flags and environment; the only place that reads either.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use clap::{Parser, ValueEnum};
use sandgate_kit::KitArgs;

use crate::{Inputs, pool::Wishes, size};

/// Where this provider listens unless told.
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 50062);

const IMAGE: &str = "ubuntu:24.04";
const PREFIX: &str = "sandgate";
const SUBNETS: &str = "10.213.0.0/16";
const MEMORY_BYTES: u64 = 2 * 1024 * 1024 * 1024;
const CPU_MILLIS: u64 = 1000;
const PIDS: u64 = 256;
const OUTPUT_LIMIT: u64 = 64 << 20;

/// How runners are reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Transport {
    /// By a socket where that works, else by a bridge; found out with the first sandbox.
    #[default]
    Auto,
    /// By a socket in a folder that this provider shares with the engine's host.
    Socket,
    /// By one kept-open exec.
    Bridge,
}

/// Whether commands run in control groups of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Cgroup {
    /// Where this provider may make them: the end of a process tree is certain then.
    #[default]
    Auto,
    /// Never: starting a command after a pause is some milliseconds faster.
    Off,
}

/// Everything that this provider can be told.
#[derive(Clone, Debug)]
pub struct Config {
    /// What the engine is found by.
    pub engine: Inputs,
    /// Image of a sandbox that asks for none.
    pub image: String,
    /// Isolation runtime of a sandbox that asks for none; empty: the engine's default.
    pub runtime: String,
    /// Begins every name and label that this provider gives.
    pub name_prefix: String,
    /// IPv4 range out of which every private network gets its own /28, as in `10.213.0.0/16`.
    pub subnet_pool: String,
    /// Memory of a sandbox that asks for none, bytes; swap is never added to it.
    pub memory_bytes: u64,
    /// CPU of a sandbox that asks for none, thousandths of a core.
    pub cpu_millis: u64,
    /// Processes and threads of a sandbox that asks for none.
    pub pids: u64,
    /// Folder for what must survive, shared with the engine where both are on one host; none:
    /// runners are reached by a bridge.
    pub data_dir: Option<PathBuf>,
    /// How runners are reached.
    pub transport: Transport,
    /// Whether commands run in control groups of their own.
    pub cgroup: Cgroup,
    /// Output kept of one channel of one execution, bytes; of all of a sandbox four times that.
    pub output_limit: u64,
    /// Sandboxes made ahead.
    pub pool: Wishes,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            engine: Inputs::default(),
            image: IMAGE.to_owned(),
            runtime: String::new(),
            name_prefix: PREFIX.to_owned(),
            subnet_pool: SUBNETS.to_owned(),
            memory_bytes: MEMORY_BYTES,
            cpu_millis: CPU_MILLIS,
            pids: PIDS,
            data_dir: None,
            transport: Transport::Auto,
            cgroup: Cgroup::Auto,
            output_limit: OUTPUT_LIMIT,
            pool: Wishes::default(),
        }
    }
}

/// Arguments of the process.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "sandgate-provider-container",
    version,
    about = "Sandboxes on a Docker Engine"
)]
pub struct Args {
    /// This provider's own flags
    #[command(flatten)]
    pub container: ContainerArgs,
    /// Flags that every provider has
    #[command(flatten)]
    pub kit: KitArgs,
}

/// Flags of this provider alone, to be flattened into a program of several.
#[derive(clap::Args, Clone, Debug)]
pub struct ContainerArgs {
    /// Docker Engine to use: unix://, tcp://, http:// or https://; by default the docker CLI's
    #[arg(long, env = "CONTAINER_SANDBOX_DOCKER_HOST", value_name = "URL")]
    pub docker_host: Option<String>,
    /// Image of a sandbox that asks for none
    #[arg(long, env = "SANDGATE_CONTAINER_IMAGE", default_value = IMAGE, value_name = "IMAGE")]
    pub image: String,
    /// Container runtime, as in runsc, kata or sysbox-runc; empty: the engine's default
    #[arg(
        long,
        env = "CONTAINER_SANDBOX_RUNTIME",
        default_value = "",
        value_name = "NAME"
    )]
    pub runtime: String,
    /// Begins the name of every container, network and label
    #[arg(long, env = "SANDGATE_NAME_PREFIX", default_value = PREFIX, value_name = "TEXT")]
    pub name_prefix: String,
    /// IPv4 range that sandboxes' private networks are cut from; must be unused on the engine's host
    #[arg(long, env = "SANDGATE_CONTAINER_SUBNETS", default_value = SUBNETS, value_name = "CIDR")]
    pub subnet_pool: String,
    /// Memory of a sandbox that asks for none, bytes
    #[arg(long, env = "SANDGATE_CONTAINER_MEMORY", default_value_t = MEMORY_BYTES, value_name = "BYTES")]
    pub memory_bytes: u64,
    /// CPU of a sandbox that asks for none, thousandths of a core
    #[arg(long, env = "SANDGATE_CONTAINER_CPU_MILLIS", default_value_t = CPU_MILLIS, value_name = "MILLIS")]
    pub cpu_millis: u64,
    /// Processes of a sandbox that asks for none
    #[arg(long, env = "SANDGATE_CONTAINER_PIDS", default_value_t = PIDS, value_name = "COUNT")]
    pub pids: u64,
    /// Folder for what must survive, seen by the engine under the same path [default: $XDG_STATE_HOME/sandgate or ~/.local/state/sandgate]
    #[arg(long, env = "SANDGATE_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// How runners are reached; auto tries the socket with the first sandbox
    #[arg(
        long,
        env = "SANDGATE_CONTAINER_TRANSPORT",
        value_enum,
        default_value_t,
        value_name = "WAY"
    )]
    pub transport: Transport,
    /// Whether commands run in control groups of their own, where that is possible
    #[arg(
        long,
        env = "SANDGATE_CONTAINER_CGROUP",
        value_enum,
        default_value_t,
        value_name = "WHEN"
    )]
    pub cgroup: Cgroup,
    /// Output kept of a channel, in bytes or as in 64MiB; of a whole sandbox four times that
    #[arg(long, env = "SANDGATE_OUTPUT_LIMIT", default_value_t = OUTPUT_LIMIT, value_parser = size::output_limit, value_name = "SIZE")]
    pub output_limit: u64,
    /// Sandboxes made ahead: a number of the default image, or IMAGE=NUMBER,...; none unless given
    #[arg(
        long,
        env = "SANDGATE_CONTAINER_POOL",
        default_value = "",
        value_name = "POOL"
    )]
    pub pool: Wishes,
    /// Where the data folder is by default
    #[arg(long, env = "XDG_STATE_HOME", hide = true)]
    pub state_home: Option<PathBuf>,
    /// The docker CLI's own variables
    #[command(flatten)]
    pub cli: DockerCliArgs,
}

/// What the docker CLI reads from its environment; flags only so that one place reads them all.
#[derive(clap::Args, Clone, Debug)]
pub struct DockerCliArgs {
    /// As the docker CLI reads it
    #[arg(long, env = "DOCKER_HOST", hide = true)]
    pub docker_cli_host: Option<String>,
    /// As the docker CLI reads it
    #[arg(long, env = "DOCKER_CONTEXT", hide = true)]
    pub docker_context: Option<String>,
    /// As the docker CLI reads it: any text but the empty one means yes
    #[arg(long, env = "DOCKER_TLS_VERIFY", hide = true)]
    pub docker_tls_verify: Option<String>,
    /// As the docker CLI reads it
    #[arg(long, env = "DOCKER_CERT_PATH", hide = true)]
    pub docker_cert_path: Option<PathBuf>,
    /// As the docker CLI reads it
    #[arg(long, env = "DOCKER_CONFIG", hide = true)]
    pub docker_config: Option<PathBuf>,
    /// Folder that holds `.docker`
    #[arg(long, env = "HOME", hide = true)]
    pub docker_home: Option<PathBuf>,
}

impl ContainerArgs {
    /// The configuration that these flags stand for.
    pub fn config(&self) -> Config {
        Config {
            engine: self.cli.inputs(self.docker_host.clone()),
            image: self.image.clone(),
            runtime: self.runtime.clone(),
            name_prefix: self.name_prefix.clone(),
            subnet_pool: self.subnet_pool.clone(),
            memory_bytes: self.memory_bytes,
            cpu_millis: self.cpu_millis,
            pids: self.pids,
            data_dir: self.data_dir(),
            transport: self.transport,
            cgroup: self.cgroup,
            output_limit: self.output_limit,
            pool: self.pool.clone(),
        }
    }

    fn data_dir(&self) -> Option<PathBuf> {
        let set = |path: &Option<PathBuf>| path.clone().filter(|path| path.is_absolute());
        let home = set(&self.cli.docker_home).map(|home| home.join(".local/state"));
        let state = set(&self.state_home).or(home);
        self.data_dir
            .clone()
            .or_else(|| state.map(|state| state.join("sandgate")))
    }
}

impl DockerCliArgs {
    fn inputs(&self, host: Option<String>) -> Inputs {
        let home = self.docker_home.as_ref().map(|home| home.join(".docker"));
        let set = |path: &Option<PathBuf>| path.clone().filter(|path| !path.as_os_str().is_empty());
        Inputs {
            host,
            cli_host: self.docker_cli_host.clone(),
            cli_context: self.docker_context.clone(),
            tls_verify: self
                .docker_tls_verify
                .as_ref()
                .is_some_and(|text| !text.is_empty()),
            cert_path: set(&self.docker_cert_path),
            config_dir: set(&self.docker_config).or(home),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_and_the_plain_default_agree() {
        let args = Args::try_parse_from(["provider", "--docker-host", "unix:///x"]).unwrap();
        let (flags, plain) = (args.container.config(), Config::default());
        assert_eq!(flags.engine.host.as_deref(), Some("unix:///x"));
        assert_eq!(flags.memory_bytes, plain.memory_bytes);
        assert_eq!(
            (flags.memory_bytes, flags.cpu_millis, flags.pids),
            (2 << 30, 1000, 256)
        );
        assert_eq!(
            (plain.image.as_str(), plain.runtime.as_str()),
            ("ubuntu:24.04", "")
        );
        assert_eq!(
            (plain.name_prefix.as_str(), plain.subnet_pool.as_str()),
            ("sandgate", "10.213.0.0/16")
        );
    }

    #[test]
    fn a_docker_config_folder_wins_over_home() {
        let parse = |more: &[&str]| {
            let mut all = vec!["provider", "--docker-home", "/home/a"];
            all.extend(more);
            Args::try_parse_from(all).unwrap().container.config().engine
        };
        assert_eq!(parse(&[]).config_dir, Some("/home/a/.docker".into()));
        assert_eq!(
            parse(&["--docker-config", "/etc/d"]).config_dir,
            Some("/etc/d".into())
        );
        assert!(parse(&["--docker-tls-verify", "1"]).tls_verify);
        assert!(!parse(&["--docker-tls-verify", ""]).tls_verify);
    }
}
