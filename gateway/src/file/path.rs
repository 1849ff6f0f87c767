//! Paths in a session's storage: one form for each place.

use sandgate_proto::Problem;

use crate::problem::Result;

/// Longest path, in bytes, and most parts of one.
const BYTES: usize = 4096;
const PARTS: usize = 64;

/// The one form of a path: from the root, with a leading slash.
///
/// # Errors
/// `INVALID_FIELD` for what is no path, or leads anywhere else than it says.
pub(crate) fn normal(field: &'static str, path: &str) -> Result<String> {
    checked(path).map_err(|why| Problem::invalid_field(field, why))
}

/// A path below a folder of the one form; none where it is no path.
pub(crate) fn join(folder: &str, below: &str) -> Option<String> {
    let whole = format!("{}/{below}", folder.trim_end_matches('/'));
    checked(&whole).ok()
}

fn checked(path: &str) -> std::result::Result<String, &'static str> {
    if path.is_empty() {
        return Err("is required");
    }
    let inside = path.strip_prefix('/').unwrap_or(path);
    if inside.is_empty() {
        return Ok("/".to_owned());
    }
    if inside.len() >= BYTES {
        return Err("has at most 4,096 bytes");
    }
    if inside.contains('\0') {
        return Err("may not hold NUL");
    }
    let mut parts = inside.split('/');
    if parts.any(|part| matches!(part, "" | "." | "..")) {
        return Err("may not hold parts that are empty, . or ..: write the path out");
    }
    if inside.split('/').count() > PARTS {
        return Err("has at most 64 parts");
    }
    Ok(format!("/{inside}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn there_is_one_form() {
        for (path, form) in [
            ("a", "/a"),
            ("/a", "/a"),
            ("/", "/"),
            ("a b/ç\n'\"-", "/a b/ç\n'\"-"),
            ("-rf", "/-rf"),
            ("...", "/..."),
        ] {
            assert_eq!(normal("path", path).unwrap(), form);
        }
        let deep = vec!["x"; 65].join("/");
        let long = "x".repeat(4096);
        for wrong in [
            "", "//", "/a/", "a//b", ".", "..", "a/../b", "/./a", "a\0", &deep, &long,
        ] {
            assert!(normal("path", wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn nothing_leads_out_of_its_folder() {
        assert_eq!(join("/a", "b/c").unwrap(), "/a/b/c");
        assert_eq!(join("/", "b").unwrap(), "/b");
        for wrong in ["", "../b", "b/..", "/b", "b/", "./b"] {
            assert_eq!(join("/a", wrong), None, "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn a_form_is_its_own_form(path in "[a./\0é-]{0,12}") {
            if let Ok(form) = normal("path", &path) {
                prop_assert_eq!(normal("path", &form).unwrap(), &form[..]);
                let inside: Vec<_> = form[1..].split('/').collect();
                prop_assert!(form == "/" || inside.iter().all(|part| !matches!(*part, "" | "." | "..")));
            }
        }
    }
}
