//! The command line.

use std::str::FromStr;

use clap::{Args, Parser, Subcommand};
use sandgate_gateway::{GatewayArgs, ProviderEntry};

use crate::embedded::Embedded;

/// One gRPC front door for agent sandboxes
#[derive(Debug, Parser)]
#[command(name = "sandgate", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Starts everything on this machine, makes a sandbox and runs a command in it
    Quickstart(ServeArgs),
    /// Serves a gateway and its embedded providers, in the foreground
    Serve(ServeArgs),
    /// Says what is here, what is missing and what to do about it
    Doctor(ServeArgs),
    /// Makes a key for SANDGATE_ENCRYPTION_KEYS
    Keygen,
}

/// Settings of a gateway with providers of its own.
#[derive(Args, Clone, Debug)]
pub(crate) struct ServeArgs {
    /// Providers: `local`, `container` and `e2b` are embedded, `id=url` or `id=url|url` is a service
    /// elsewhere. Embedded ones read their own SANDGATE_ variables
    #[arg(
        long,
        env = "SANDGATE_PROVIDERS",
        value_delimiter = ',',
        default_value = "local",
        value_name = "LIST"
    )]
    pub(crate) providers: Vec<Choice>,
    /// All other settings
    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// A provider as the list names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// Runs in this process.
    Embedded(Embedded),
    /// Runs elsewhere.
    Service(ProviderEntry),
}

impl Choice {
    /// The provider's id.
    pub(crate) fn id(&self) -> String {
        match self {
            Self::Embedded(embedded) => embedded.id().to_owned(),
            Self::Service(entry) => entry.id.clone(),
        }
    }
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains('=') {
            return text.parse().map(Self::Service);
        }
        match text {
            "local" => Ok(Self::Embedded(Embedded::Local)),
            "container" => Ok(Self::Embedded(Embedded::Container)),
            "e2b" => Ok(Self::Embedded(Embedded::E2b)),
            other => Err(format!(
                "{other:?} is not embedded here; embedded are local, container and e2b, and others are given as {other}=http://host:port"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_embedded_and_urls_are_elsewhere() {
        let cli = Cli::try_parse_from([
            "sandgate",
            "serve",
            "--providers",
            "local,container,e2b=http://h:1",
        ])
        .unwrap();
        let Command::Serve(args) = cli.command else {
            panic!("not serve")
        };
        assert_eq!(args.providers.len(), 3);
        assert_eq!(args.providers[1], Choice::Embedded(Embedded::Container));
        assert!(matches!(&args.providers[2], Choice::Service(entry) if entry.id == "e2b"));
        assert!(
            "daytona"
                .parse::<Choice>()
                .unwrap_err()
                .contains("daytona=http")
        );
    }
}
