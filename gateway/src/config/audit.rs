//! What becomes of the audit log.

use std::path::PathBuf;

/// What becomes of the audit log.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct AuditArgs {
    /// File that every audit event is appended to as well, one JSON object a line
    #[arg(long, env = "SANDGATE_AUDIT_FILE", value_name = "FILE")]
    pub audit_file: Option<PathBuf>,
    /// Days that audit events are kept in the database, 0 = for ever [default: 90]
    #[arg(long, env = "SANDGATE_AUDIT_DAYS", value_name = "N")]
    pub audit_days: Option<u32>,
}

/// Days where nothing is configured.
const DAYS: u32 = 90;

impl AuditArgs {
    /// Days that events are kept; none: for ever.
    pub fn days(&self) -> Option<u32> {
        Some(self.audit_days.unwrap_or(DAYS)).filter(|days| *days != 0)
    }
}
