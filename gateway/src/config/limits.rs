//! How much one caller, and one organisation, may use.

/// Limits; none where they are not set.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct LimitArgs {
    /// Calls a second that one key, token or certificate may make [default: no limit]
    #[arg(long, env = "SANDGATE_RATE_LIMIT", value_name = "N")]
    pub rate_limit: Option<u32>,
    /// Calls that may come at once before that limit holds [default: as many as it says]
    #[arg(long, env = "SANDGATE_RATE_BURST", value_name = "N")]
    pub rate_burst: Option<u32>,
    /// Sandboxes that one organisation may have [default: no limit]
    #[arg(long, env = "SANDGATE_QUOTA_SANDBOXES", value_name = "N")]
    pub quota_sandboxes: Option<u32>,
    /// Executions that one organisation may have running, as far as this gateway started them
    /// [default: no limit]
    #[arg(long, env = "SANDGATE_QUOTA_EXECUTIONS", value_name = "N")]
    pub quota_executions: Option<u32>,
    /// Bytes that one organisation may keep in its sessions [default: no limit]
    #[arg(long, env = "SANDGATE_QUOTA_SESSION_BYTES", value_name = "BYTES")]
    pub quota_session_bytes: Option<u64>,
}
