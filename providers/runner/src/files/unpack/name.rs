//! Names in archives: nobody has to believe them.

/// The parts of a name; none: it would lead out. Empty for the top itself.
pub(super) fn parts(name: &[u8]) -> Option<Vec<Vec<u8>>> {
    if name.starts_with(b"/") || name.contains(&0) {
        return None;
    }
    let parts = name.split(|byte| *byte == b'/');
    let parts = parts.filter(|part| !matches!(part, [] | [b'.']));
    parts
        .map(|part| (part != b"..").then(|| part.to_vec()))
        .collect()
}

/// Whether a link so many folders down stays inside, whatever links are on its way: steps up come
/// first, and no more of them than there are folders.
pub(super) fn link_stays(depth: usize, target: &[u8]) -> bool {
    if target.is_empty() || target.starts_with(b"/") || target.contains(&0) {
        return false;
    }
    let parts = target.split(|byte| *byte == b'/');
    let parts: Vec<_> = parts.filter(|part| !matches!(part, [] | [b'.'])).collect();
    let ups = parts.iter().take_while(|part| **part == b"..").count();
    ups <= depth && !parts[ups..].contains(&&b".."[..])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_that_lead_out_are_none() {
        for name in ["/etc/passwd", "..", "a/../b", "a/..", "../a", "a\0b"] {
            assert_eq!(parts(name.as_bytes()), None, "{name}");
        }
        for (name, count) in [
            ("", 0),
            (".", 0),
            ("./", 0),
            ("a", 1),
            ("./a//b/", 2),
            ("..a", 1),
        ] {
            assert_eq!(
                parts(name.as_bytes()).map(|parts| parts.len()),
                Some(count),
                "{name}"
            );
        }
    }

    #[test]
    fn links_go_up_first_and_not_too_far() {
        for (depth, target, stays) in [
            (0, "a", true),
            (0, "..", false),
            (0, "/etc", false),
            (1, "../a", true),
            (1, "../../a", false),
            (2, "a/../..", false),
            (2, "./../b", true),
            (0, "", false),
        ] {
            assert_eq!(
                link_stays(depth, target.as_bytes()),
                stays,
                "{depth} {target}"
            );
        }
    }

    proptest! {
        /// What is taken never goes up.
        #[test]
        fn no_part_goes_up(name in prop::collection::vec(prop::sample::select(b"ab./\0".to_vec()), 0..20)) {
            for part in parts(&name).unwrap_or_default() {
                prop_assert!(part != b".." && part != b"." && !part.is_empty());
                prop_assert!(!part.contains(&b'/') && !part.contains(&0));
            }
        }
    }
}
