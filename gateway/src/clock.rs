//! Wall-clock time as the store keeps it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds since the Unix epoch.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Stored milliseconds, on the wire.
pub(crate) fn timestamp(millis: i64) -> prost_types::Timestamp {
    let since = Duration::from_millis(u64::try_from(millis).unwrap_or_default());
    (UNIX_EPOCH + since).into()
}

/// A time on the wire, to be stored; none where it is before the epoch or absurdly far.
pub(crate) fn millis(time: prost_types::Timestamp) -> Option<i64> {
    let time = SystemTime::try_from(time).ok()?;
    i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
}
