//! The command line.

use clap::Parser;

use crate::Options;

/// Checks that a provider keeps the rules of the contract, through a gateway or directly.
///
/// Ends with 0 if nothing failed, 1 if something did, 2 if the suite could not run.
#[derive(Clone, Debug, Parser)]
#[command(version)]
pub struct Args {
    /// Where the gateway listens, or with --direct the provider: HOST:PORT or http://HOST:PORT
    #[arg(long, value_name = "ADDR", required_unless_present = "list")]
    pub target: Option<String>,
    /// Provider to check, by its id
    #[arg(long, value_name = "ID", required_unless_present = "list")]
    pub provider: Option<String>,
    /// The target is the provider service itself: send it the provider context, as a gateway does
    #[arg(long)]
    pub direct: bool,
    /// Bearer token: with --direct the provider token, else a token of the gateway
    #[arg(long, value_name = "TOKEN")]
    pub token: Option<String>,
    /// API key: of the gateway, or with --direct the key for the upstream, sent in the context
    #[arg(long, value_name = "KEY")]
    pub api_key: Option<String>,
    /// Image of the sandboxes; it needs sh, seq, head, tr, cat and sleep [default: the provider's]
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<String>,
    /// Only checks whose rule and name, as --list shows them, contain this
    #[arg(long, value_name = "PATTERN")]
    pub only: Option<String>,
    /// Show the checks and what they demand, and run none
    #[arg(long)]
    pub list: bool,
    /// Output kept of a channel, as the provider is configured [default: what its capabilities
    /// say, else 64 MiB]
    #[arg(long, value_name = "BYTES")]
    pub output_limit: Option<u64>,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
    /// Checks at once
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub concurrency: u16,
}

impl Args {
    /// What to run; nothing if --list stands for target and provider.
    pub fn options(&self) -> Option<Options> {
        Some(Options {
            target: self.target.clone()?,
            provider: self.provider.clone()?,
            direct: self.direct,
            token: self.token.clone(),
            api_key: self.api_key.clone(),
            image: self.image.clone(),
            only: self.only.clone(),
            output_limit: self.output_limit,
            concurrency: usize::from(self.concurrency),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, clap::Error> {
        Args::try_parse_from(line.split(' '))
    }

    #[test]
    fn target_and_provider_are_enough() {
        let args = parse("x --target 127.0.0.1:50051 --provider local").unwrap();
        let options = args.options().unwrap();
        assert_eq!(options.target, "127.0.0.1:50051");
        assert_eq!(options.provider, "local");
        assert!(!options.direct && !args.json);
        assert_eq!(options.concurrency, 4);
    }

    #[test]
    fn every_flag_reaches_the_options() {
        let options = parse("x --target a:1 --provider p --direct --token t --api-key k --image i --only rule --output-limit 1048576 --concurrency 2").unwrap().options().unwrap();
        assert!(options.direct);
        assert_eq!(options.token.as_deref(), Some("t"));
        assert_eq!(options.api_key.as_deref(), Some("k"));
        assert_eq!(options.image.as_deref(), Some("i"));
        assert_eq!(options.only.as_deref(), Some("rule"));
        assert_eq!(options.output_limit, Some(1_048_576));
        assert_eq!(options.concurrency, 2);
    }

    #[test]
    fn a_list_needs_nothing_and_a_run_does() {
        assert!(parse("x --list").unwrap().options().is_none());
        assert!(parse("x --target a:1").is_err());
        assert!(parse("x --provider p").is_err());
        assert!(parse("x --target a:1 --provider p --concurrency 0").is_err());
    }
}
