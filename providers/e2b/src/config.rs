//! Flags and environment; the only place that reads either. There is none for a key: that is each
//! user's own.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use clap::Parser;
use sandgate_kit::KitArgs;

/// Where this provider listens unless told.
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 50065);

const API_URL: &str = "https://api.e2b.app";
const DOMAIN: &str = "e2b.app";
const TEMPLATE: &str = "base";
const USER: &str = "user";
const TIMEOUT: u32 = 3600;
const OUTPUT_LIMIT: u64 = 64 << 20;

/// Everything that this provider can be told.
#[derive(Clone, Debug)]
pub struct Config {
    /// Management API, as in `https://api.e2b.app`.
    pub api_url: String,
    /// envd of all sandboxes, told apart by headers; empty: found by each sandbox's domain.
    pub sandbox_url: String,
    /// Domain of sandboxes of which E2B names none.
    pub domain: String,
    /// Template of a sandbox that asks for none.
    pub template: String,
    /// Who commands run as unless asked.
    pub user: String,
    /// Seconds after which E2B pauses a sandbox that nobody keeps up.
    pub timeout: u32,
    /// Output kept of one channel of one execution, bytes; of all of a sandbox four times that.
    pub output_limit: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            api_url: API_URL.to_owned(),
            sandbox_url: String::new(),
            domain: DOMAIN.to_owned(),
            template: TEMPLATE.to_owned(),
            user: USER.to_owned(),
            timeout: TIMEOUT,
            output_limit: OUTPUT_LIMIT,
        }
    }
}

/// Arguments of the process.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "sandgate-provider-e2b",
    version,
    about = "Sandboxes at E2B, each with its user's own key"
)]
pub struct Args {
    /// This provider's own flags
    #[command(flatten)]
    pub e2b: E2bArgs,
    /// Flags that every provider has
    #[command(flatten)]
    pub kit: KitArgs,
}

/// Flags of this provider alone, to be flattened into a program of several.
#[derive(clap::Args, Clone, Debug)]
pub struct E2bArgs {
    /// Management API
    #[arg(long, env = "SANDGATE_E2B_API_URL", default_value = API_URL, value_name = "URL")]
    pub api_url: String,
    /// The way to the daemons in all sandboxes; by default found by each sandbox's domain
    #[arg(
        long,
        env = "SANDGATE_E2B_SANDBOX_URL",
        default_value = "",
        value_name = "URL"
    )]
    pub sandbox_url: String,
    /// Domain of sandboxes of which E2B names none
    #[arg(long, env = "SANDGATE_E2B_DOMAIN", default_value = DOMAIN, value_name = "NAME")]
    pub domain: String,
    /// Template of a sandbox that asks for none
    #[arg(long, env = "SANDGATE_E2B_TEMPLATE", default_value = TEMPLATE, value_name = "NAME")]
    pub template: String,
    /// Who commands run as unless asked; the template has to have that user
    #[arg(long, env = "SANDGATE_E2B_USER", default_value = USER, value_name = "NAME")]
    pub user: String,
    /// Seconds after which E2B pauses a sandbox that no gateway keeps up
    #[arg(long, env = "SANDGATE_E2B_TIMEOUT", default_value_t = TIMEOUT,
          value_parser = clap::value_parser!(u32).range(60..=86400), value_name = "SECONDS")]
    pub timeout: u32,
    /// Output kept of one channel of one execution, bytes
    #[arg(long, env = "SANDGATE_OUTPUT_LIMIT", default_value_t = OUTPUT_LIMIT,
          value_parser = clap::value_parser!(u64).range(131_072..), value_name = "BYTES")]
    pub output_limit: u64,
}

impl E2bArgs {
    /// The configuration that they say.
    pub fn config(&self) -> Config {
        Config {
            api_url: self.api_url.clone(),
            sandbox_url: self.sandbox_url.clone(),
            domain: self.domain.clone(),
            template: self.template.clone(),
            user: self.user.clone(),
            timeout: self.timeout,
            output_limit: self.output_limit,
        }
    }
}
