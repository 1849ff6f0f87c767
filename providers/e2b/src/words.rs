//! What E2B says beside its answers: when to ask again, and words of its own. It may repeat a key or a
//! token there, so that nobody is told and nothing is logged; they are only looked at for what they are
//! known to mean.

use std::{fmt, time::Duration};

use http::{HeaderMap, StatusCode, header::RETRY_AFTER};
use serde::Deserialize;

/// A text of E2B's.
#[derive(Clone, Default, Deserialize, PartialEq, Eq)]
#[serde(transparent)]
pub(crate) struct Words(String);

impl Words {
    /// Whether it says this.
    pub(crate) fn contain(&self, part: &str) -> bool {
        self.0.contains(part)
    }
}

impl From<String> for Words {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes of text", self.0.len())
    }
}

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// When E2B wants to be asked again: at once is never, and later than in an hour is a mistake.
pub(crate) fn retry_after(headers: &HeaderMap, status: StatusCode) -> Option<Duration> {
    let waits = [
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::SERVICE_UNAVAILABLE,
    ];
    let header = headers.get(RETRY_AFTER)?;
    let seconds: u64 = header.to_str().ok()?.trim().parse().ok()?;
    waits
        .contains(&status)
        .then(|| Duration::from_secs(seconds.clamp(1, 3600)))
}
