//! The limit of output as people write it.

use std::{fmt, str::FromStr};

use sandgate_kit::bytes_of;
use thiserror::Error;

/// The runner keeps no less of a channel, bytes.
const LEAST: u64 = 128 << 10;

/// How much output of one channel is kept, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputLimit(pub u64);

/// It is no such number.
#[derive(Debug, Error)]
#[error("give bytes, or a number with KiB, MiB or GiB; at least 128KiB, at most 1024GiB")]
pub struct BadSize;

impl Default for OutputLimit {
    fn default() -> Self {
        Self(64 << 20)
    }
}

impl FromStr for OutputLimit {
    type Err = BadSize;

    fn from_str(text: &str) -> Result<Self, BadSize> {
        let bytes = bytes_of(text.trim()).ok_or(BadSize)?;
        if (LEAST..=1 << 40).contains(&bytes) {
            Ok(Self(bytes))
        } else {
            Err(BadSize)
        }
    }
}

impl fmt::Display for OutputLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_multiple_of(1 << 20) {
            write!(f, "{}MiB", self.0 >> 20)
        } else {
            write!(f, "{}", self.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_binary_units_are_read_and_nothing_else() {
        for (text, bytes) in [
            ("131072", 131_072),
            ("128KiB", 131_072),
            ("64MiB", 64 << 20),
            ("2 GiB", 2 << 30),
        ] {
            assert_eq!(text.parse::<OutputLimit>().unwrap().0, bytes, "{text}");
        }
        for text in ["", "64MB", "1", "-1MiB", "MiB", "99999999999GiB", "1.5GiB"] {
            assert!(text.parse::<OutputLimit>().is_err(), "{text}");
        }
        let default = OutputLimit::default();
        assert_eq!(default.to_string().parse::<OutputLimit>().unwrap(), default);
    }
}
