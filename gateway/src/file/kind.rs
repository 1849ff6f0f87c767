//! The media type of content, guessed from its name, else from how it begins.

/// Where neither tells.
const UNKNOWN: &str = "application/octet-stream";
/// Bytes that are looked at.
pub(super) const LOOKED_AT: usize = 8 << 10;

/// The type of a file of this name that begins so.
pub(super) fn guess(path: &str, start: &[u8]) -> String {
    let named = mime_guess::from_path(path).first_raw();
    let found = || infer::get(start).map(|kind| kind.mime_type());
    named.or_else(found).unwrap_or(UNKNOWN).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_tells_before_the_content() {
        let png = b"\x89PNG\r\n\x1a\n";
        assert_eq!(guess("/a/b.json", png), "application/json");
        assert_eq!(guess("/a/b", png), "image/png");
        assert_eq!(guess("/a/b", b"plain"), UNKNOWN);
        assert_eq!(guess("/a.unheard-of", b""), UNKNOWN);
    }
}
