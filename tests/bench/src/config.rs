//! The command line of the benchmark.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

/// Measures the gateway's hop beside nginx and beside no hop, over the same provider.
#[derive(Debug, Parser)]
#[command(name = "sandgate-bench", version)]
pub(crate) struct Args {
    /// What this process is, where it is not the benchmark itself
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// How to measure
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// The parts that the benchmark starts as processes of their own.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The provider that everything is measured over
    #[command(hide = true)]
    Provider,
}

/// How to measure.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// Rounds; in each, every figure is taken once for each way to the provider
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) rounds: u32,
    /// Take only these figures
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(crate) only: Vec<Figure>,
    /// Connections of the client for the requests in flight, the same for each way
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) connections: u16,
    /// Gateway to measure; by default it is built now with cargo, in release
    #[arg(long, value_name = "FILE")]
    pub(crate) gateway: Option<PathBuf>,
    /// nginx to measure
    #[arg(long, value_name = "FILE", default_value = "/usr/sbin/nginx")]
    pub(crate) nginx: PathBuf,
    /// Worker processes of nginx
    #[arg(long, default_value_t = 1)]
    pub(crate) nginx_workers: u16,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Figure {
    /// Median time of a unary call, one at a time
    Latency,
    /// Unary calls a second with 64 in flight
    Rate,
    /// Bytes a second of one server stream
    Stream,
}

impl Figure {
    /// All of them, in the order of the table.
    pub(crate) const ALL: [Self; 3] = [Self::Latency, Self::Rate, Self::Stream];

    /// Whether a smaller figure is the better one.
    pub(crate) fn smaller_is_better(self) -> bool {
        self == Self::Latency
    }
}
