//! How a provider process is configured.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;
use sandgate_service::{TlsFiles, process::ProcessArgs};
use secrecy::SecretString;

use crate::PortArgs;

/// Flags that every provider has.
#[derive(Args, Clone, Debug)]
pub struct KitArgs {
    /// Address to listen on
    #[arg(long, env = "SANDGATE_LISTEN", value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// Token that the gateway must send; needed off loopback unless --tls-ca is given
    #[arg(
        long,
        env = "SANDGATE_PROVIDER_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN"
    )]
    pub provider_token: Option<SecretString>,
    /// Own certificate, PEM
    #[arg(long, env = "SANDGATE_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// Own private key, PEM
    #[arg(long, env = "SANDGATE_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// Certificates that a gateway's own must be signed by (mutual TLS), PEM
    #[arg(long, env = "SANDGATE_TLS_CA", value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// Addresses of exposed ports
    #[command(flatten)]
    pub ports: PortArgs,
    /// Settings of the process
    #[command(flatten)]
    pub process: ProcessArgs,
}

impl KitArgs {
    pub(crate) fn tls(&self) -> TlsFiles {
        TlsFiles {
            cert: self.tls_cert.clone(),
            key: self.tls_key.clone(),
            ca: self.tls_ca.clone(),
        }
    }
}
