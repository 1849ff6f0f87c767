//! The limit of output as people write it.

use sandgate_kit::bytes_of;

/// Least that is kept of a channel, bytes; the runner takes no less.
pub(crate) const LEAST_OUTPUT: u64 = 128 * 1024;

/// Reads a limit of output.
///
/// # Errors
/// Where it is no size, or too small for the runner.
pub(crate) fn output_limit(text: &str) -> Result<u64, String> {
    let size = bytes_of(text).ok_or("write a size as in 67108864, 512KiB, 64MiB or 1GiB")?;
    if size < LEAST_OUTPUT {
        return Err("must be at least 128KiB".to_owned());
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        for (text, size) in [
            ("131072", 131_072),
            ("128KiB", 131_072),
            ("64 MiB", 64 << 20),
            ("2GiB", 2 << 30),
        ] {
            assert_eq!(output_limit(text), Ok(size));
        }
        for text in ["", "MiB", "64MB", "-1", "1KiB", "99999999999GiB"] {
            assert!(output_limit(text).is_err(), "{text}");
        }
    }
}
