//! The command line.

use std::{io, net::SocketAddr, path::PathBuf};

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::e2b::{self, Emulator, Settings};

/// A cloud of sandboxes on this machine, for tests. Needs root and bubblewrap.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// E2B: its management API, and envd in each sandbox.
    E2b {
        /// Where it listens; both SDKs take this address as E2B_API_URL and E2B_SANDBOX_URL.
        #[arg(long, default_value = "127.0.0.1:3000")]
        listen: SocketAddr,
        /// Folder for the sandboxes' files, short because sockets are in it; default: a new one
        /// below the folder for temporary files, removed at the end.
        #[arg(long)]
        data: Option<PathBuf>,
        /// Most sandboxes that may run at once for one key.
        #[arg(long, default_value_t = 100)]
        max_sandboxes: usize,
        /// The domain that answers name.
        #[arg(long)]
        domain: Option<String>,
        /// Gives envd a new token at each resume.
        #[arg(long)]
        new_tokens: bool,
    },
    /// What runs in each sandbox of `e2b`.
    #[command(hide = true)]
    Envd {
        /// Where it listens.
        #[arg(long)]
        socket: PathBuf,
    },
}

impl Options {
    /// Does what the command line says, until an interrupt.
    ///
    /// # Errors
    /// Where it cannot listen, or its folder cannot be made.
    pub async fn run(self) -> io::Result<()> {
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(io::stderr)
            .init();
        match self.command {
            Command::Envd { socket } => e2b::envd::serve(&socket).await,
            Command::E2b {
                listen,
                data,
                max_sandboxes,
                domain,
                new_tokens,
            } => {
                let settings = Settings {
                    program: std::env::current_exe()?,
                    listen,
                    data,
                    max_sandboxes,
                    domain,
                    new_tokens,
                };
                let emulator = Emulator::start(settings).await?;
                println!("emulator of e2b ready on {}", emulator.address());
                ended().await?;
                emulator.stop().await;
                Ok(())
            }
        }
    }
}

/// Waits for an interrupt or a request to end.
async fn ended() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        ended = tokio::signal::ctrl_c() => ended,
        _ = terminate.recv() => Ok(()),
    }
}
