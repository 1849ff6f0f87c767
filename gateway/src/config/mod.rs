//! How a gateway is configured.

mod audit;
mod connections;
mod features;
mod files;
mod identity;
mod keys;
mod limits;
mod pace;

use std::{net::SocketAddr, num::NonZeroUsize, path::PathBuf, str::FromStr};

use clap::Parser;
use sandgate_service::{
    TlsFiles,
    process::{self, ProcessArgs},
};
use secrecy::SecretString;

pub use audit::AuditArgs;
pub use connections::ConnectionArgs;
pub use features::FeatureArgs;
pub use files::{FileArgs, FilesPlace};
pub use identity::IdentityArgs;
pub use keys::{KeyArgs, KeysError};
pub use limits::LimitArgs;
pub use pace::Pace;

use crate::{
    clock::Clock,
    fleet::{Access, ProviderEntry},
};

/// The default address.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:50051";

/// The Sandgate gateway: one gRPC front door for agent sandboxes
#[derive(Clone, Debug, Parser)]
#[command(name = "sandgate-gateway", version)]
pub struct Args {
    /// Providers: `id=url`, several as a list, replicas of one as `id=url|url`
    #[arg(
        long,
        env = "SANDGATE_PROVIDERS",
        value_delimiter = ',',
        value_name = "ID=URL"
    )]
    pub providers: Vec<ProviderEntry>,
    /// All other settings
    #[command(flatten)]
    pub gateway: GatewayArgs,
}

/// Settings of a gateway, whatever program it runs in.
#[derive(Clone, Debug, clap::Args)]
pub struct GatewayArgs {
    /// Address to listen on
    #[arg(long, env = "SANDGATE_LISTEN", default_value = DEFAULT_LISTEN, value_name = "ADDR")]
    pub listen: SocketAddr,
    /// Folder for what must survive [default: $XDG_STATE_HOME/sandgate or ~/.local/state/sandgate]
    #[arg(long, env = "SANDGATE_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Database; `sqlite:PATH`, by default sandgate.db in the data folder
    #[arg(long, env = "SANDGATE_DATABASE_URL", value_name = "URL")]
    pub database_url: Option<String>,
    /// Token that the providers want
    #[arg(
        long,
        env = "SANDGATE_PROVIDER_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN"
    )]
    pub provider_token: Option<SecretString>,
    /// Threads that serve callers [default: as many as there are processors]
    #[arg(long, env = "SANDGATE_WORKERS", value_name = "N")]
    pub workers: Option<usize>,
    /// Connections of each of these threads to each provider endpoint
    #[arg(
        long,
        env = "SANDGATE_PROVIDER_CONNECTIONS",
        default_value_t = 1,
        value_name = "N"
    )]
    pub provider_connections: usize,
    /// Certificate shown to providers, PEM
    #[arg(long, env = "SANDGATE_PROVIDER_TLS_CERT", value_name = "FILE")]
    pub provider_tls_cert: Option<PathBuf>,
    /// Private key of that certificate, PEM
    #[arg(long, env = "SANDGATE_PROVIDER_TLS_KEY", value_name = "FILE")]
    pub provider_tls_key: Option<PathBuf>,
    /// Certificates that a provider's own must be signed by, PEM
    #[arg(long, env = "SANDGATE_PROVIDER_TLS_CA", value_name = "FILE")]
    pub provider_tls_ca: Option<PathBuf>,
    /// First key, with every right; without one, everybody on this machine is let in
    #[arg(
        long,
        env = "SANDGATE_ADMIN_KEY",
        hide_env_values = true,
        value_name = "KEY"
    )]
    pub admin_key: Option<SecretString>,
    /// Own certificate, PEM
    #[arg(long, env = "SANDGATE_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// Own private key, PEM
    #[arg(long, env = "SANDGATE_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// Certificates that a caller's own must be signed by (mutual TLS), PEM
    #[arg(long, env = "SANDGATE_TLS_CA", value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// Who is let in.
    #[command(flatten)]
    pub identity: IdentityArgs,
    /// Encryption keys.
    #[command(flatten)]
    pub keys: KeyArgs,
    /// Limits.
    #[command(flatten)]
    pub limits: LimitArgs,
    /// Session files.
    #[command(flatten)]
    pub files: FileArgs,
    /// The audit log.
    #[command(flatten)]
    pub audit: AuditArgs,
    /// Capabilities.
    #[command(flatten)]
    pub features: FeatureArgs,
    /// Connections.
    #[command(flatten)]
    pub connections: ConnectionArgs,
    /// Settings of the process
    #[command(flatten)]
    pub process: ProcessArgs,
}

/// Everything that a gateway is built from.
#[derive(Clone, Debug)]
pub struct Config {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// File of the database.
    pub database: PathBuf,
    /// The providers.
    pub providers: Vec<ProviderEntry>,
    /// How they are reached.
    pub access: Access,
    /// First key.
    pub admin_key: Option<SecretString>,
    /// Files for TLS.
    pub tls: TlsFiles,
    /// Threads that serve callers.
    pub workers: usize,
    /// Folder for what must survive.
    pub data_dir: PathBuf,
    /// Who is let in.
    pub identity: IdentityArgs,
    /// Encryption keys.
    pub keys: KeyArgs,
    /// Limits.
    pub limits: LimitArgs,
    /// Where the content of session files is kept.
    pub files: FilesPlace,
    /// The audit log.
    pub audit: AuditArgs,
    /// Capabilities.
    pub features: FeatureArgs,
    /// Connections.
    pub connections: ConnectionArgs,
    /// The pace of its own tasks.
    pub pace: Pace,
    /// What sandboxes live by.
    pub clock: Clock,
}

/// Why the arguments mean no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The database is of a kind that this build does not have.
    #[error(
        "cannot use a database of the kind {0}: give sqlite:PATH, or leave SANDGATE_DATABASE_URL unset"
    )]
    Database(String),
    /// Nobody could keep session files there.
    #[error("{0}")]
    Files(String),
    /// Nothing says where to keep things.
    #[error("neither HOME nor XDG_STATE_HOME is set: give --data-dir")]
    NoFolder,
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

impl GatewayArgs {
    /// The folder for what must survive.
    ///
    /// # Errors
    /// Where neither the arguments nor the environment name one.
    pub fn data_dir(&self) -> Result<PathBuf, ConfigError> {
        self.data_dir
            .clone()
            .or_else(process::state_home)
            .ok_or(ConfigError::NoFolder)
    }

    /// The configuration that the arguments mean, with these providers.
    ///
    /// # Errors
    /// Where the database is of a kind that this build does not have.
    pub fn into_config(self, providers: Vec<ProviderEntry>) -> Result<Config, ConfigError> {
        let data_dir = self.data_dir()?;
        let database = match self.database_url {
            None => data_dir.join("sandgate.db"),
            Some(url) => match url.strip_prefix("sqlite:") {
                Some(path) => PathBuf::from(path.strip_prefix("//").unwrap_or(path)),
                // Not the whole URL: it may hold a password.
                None => {
                    return Err(ConfigError::Database(
                        url.split(':').next().unwrap_or_default().to_owned(),
                    ));
                }
            },
        };
        let files = self.files.place(&data_dir).map_err(ConfigError::Files)?;
        Ok(Config {
            listen: self.listen,
            database,
            providers,
            access: Access {
                token: self.provider_token,
                tls: TlsFiles {
                    cert: self.provider_tls_cert,
                    key: self.provider_tls_key,
                    ca: self.provider_tls_ca,
                },
                connections: self.provider_connections,
            },
            admin_key: self.admin_key,
            tls: TlsFiles {
                cert: self.tls_cert,
                key: self.tls_key,
                ca: self.tls_ca,
            },
            workers: self.workers.unwrap_or_else(processors),
            data_dir,
            identity: self.identity,
            keys: self.keys,
            limits: self.limits,
            files,
            audit: self.audit,
            features: self.features,
            connections: self.connections,
            pace: Pace::default(),
            clock: Clock::default(),
        })
    }
}

impl FromStr for ProviderEntry {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || {
            format!(
                "{text:?} is not of the form id=url or id=url|url, as in container=http://127.0.0.1:50062"
            )
        };
        let (id, urls) = text.split_once('=').ok_or_else(form)?;
        let named =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
        if id.is_empty() || !id.bytes().all(named) {
            return Err(form());
        }
        let urls: Vec<String> = urls.split('|').map(str::to_owned).collect();
        if urls
            .iter()
            .any(|url| !url.starts_with("http://") && !url.starts_with("https://"))
        {
            return Err(form());
        }
        Ok(Self {
            id: id.to_owned(),
            urls,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers_are_a_list_with_replicas() {
        let args = Args::parse_from([
            "x",
            "--providers",
            "container=http://a:1|http://b:2,e2b=https://c",
        ]);
        let ids: Vec<_> = args
            .providers
            .iter()
            .map(|entry| (entry.id.as_str(), entry.urls.len()))
            .collect();
        assert_eq!(ids, [("container", 2), ("e2b", 1)]);
        for wrong in [
            "container",
            "=http://a",
            "Container=http://a",
            "container=a:1",
            "c=http://a|b",
        ] {
            assert!(wrong.parse::<ProviderEntry>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_database_of_another_kind_is_refused_without_its_password() {
        let args = Args::parse_from(["x", "--database-url", "postgres://me:secret@host/db"]);
        let error = args
            .gateway
            .into_config(Vec::new())
            .unwrap_err()
            .to_string();
        assert!(!error.contains("secret"), "{error}");
    }
}
