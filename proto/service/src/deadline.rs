//! The gRPC deadline on the wire: the `grpc-timeout` header.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use sandgate_proto::Problem;

/// The header that says how long a caller is ready to wait.
pub const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// How long the caller is ready to wait, if it said so.
///
/// # Errors
/// `INVALID_FIELD` where the header is not of the form of the gRPC specification: one to eight
/// digits and a unit out of `H M S m u n`.
pub fn timeout_of(headers: &HeaderMap) -> Result<Option<Duration>, Problem> {
    let Some(value) = headers.get(&GRPC_TIMEOUT) else {
        return Ok(None);
    };
    parse(value.as_bytes()).map(Some).ok_or_else(|| {
        Problem::invalid_field(
            "grpc-timeout",
            "send one to eight digits and a unit, as in 500m for 500 ms",
        )
    })
}

fn parse(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let amount: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    match unit {
        b'H' => Some(Duration::from_secs(amount * 3600)),
        b'M' => Some(Duration::from_secs(amount * 60)),
        b'S' => Some(Duration::from_secs(amount)),
        b'm' => Some(Duration::from_millis(amount)),
        b'u' => Some(Duration::from_micros(amount)),
        b'n' => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

/// The header value for a remaining time, in the finest unit that eight digits hold.
pub fn format_timeout(left: Duration) -> HeaderValue {
    const LARGEST: u128 = 99_999_999;
    let text = if left.as_micros() <= LARGEST {
        format!("{}u", left.as_micros())
    } else if left.as_millis() <= LARGEST {
        format!("{}m", left.as_millis())
    } else {
        format!("{}S", u128::from(left.as_secs()).min(LARGEST))
    };
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("99999999S"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read() {
        let seconds = |text: &str| parse(text.as_bytes()).map(|duration| duration.as_secs_f64());
        assert_eq!(seconds("2H"), Some(7200.0));
        assert_eq!(seconds("3M"), Some(180.0));
        assert_eq!(seconds("4S"), Some(4.0));
        assert_eq!(seconds("500m"), Some(0.5));
        assert_eq!(seconds("250000u"), Some(0.25));
        assert_eq!(seconds("99999999n"), Some(0.099_999_999));
    }

    #[test]
    fn malformed_values_are_refused() {
        for text in ["", "S", "1", "1s", "-1S", "123456789S", "1.5S", "１S"] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for duration in [
            Duration::from_micros(7),
            Duration::from_secs(400),
            Duration::from_secs(1 << 20),
        ] {
            assert_eq!(parse(format_timeout(duration).as_bytes()), Some(duration));
        }
    }
}
