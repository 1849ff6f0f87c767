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
    /// Bytes that one organisation may keep in its sessions, files and secrets together; what was just
    /// replaced, or is being written, may take as much again [default: no limit]
    #[arg(long, env = "SANDGATE_QUOTA_SESSION_BYTES", value_name = "BYTES")]
    pub quota_session_bytes: Option<u64>,
    /// Files that one session may keep [default: 100000]
    #[arg(long, env = "SANDGATE_QUOTA_SESSION_FILES", value_name = "N")]
    pub quota_session_files: Option<u64>,
    /// Bytes that one file of a session may have [default: 5 GiB]
    #[arg(long, env = "SANDGATE_SESSION_FILE_BYTES", value_name = "BYTES")]
    pub session_file_bytes: Option<u64>,
}

/// Files and bytes where nothing is configured.
const SESSION_FILES: u64 = 100_000;
const SESSION_FILE_BYTES: u64 = 5 << 30;

impl LimitArgs {
    /// Files that one session may keep.
    pub(crate) fn session_files(&self) -> u64 {
        self.quota_session_files.unwrap_or(SESSION_FILES)
    }

    /// Bytes that one file of a session may have.
    pub(crate) fn session_file_bytes(&self) -> u64 {
        self.session_file_bytes.unwrap_or(SESSION_FILE_BYTES)
    }
}
