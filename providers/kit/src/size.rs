//! Numbers of bytes as people write them.

/// Reads `67108864`, `512KiB`, `64MiB` or `1GiB`; none where it is no such number, or too large for
/// one.
pub fn bytes_of(text: &str) -> Option<u64> {
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("", 0)];
    let (number, shift) = units
        .iter()
        .find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, *shift)))?;
    let number: u64 = number.trim().parse().ok()?;
    number.checked_mul(1 << shift)
}
