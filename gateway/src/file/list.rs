//! Lists of files that are to be copied between a session's storage and a sandbox.

use prost::Message as _;
use sandgate_proto::{Problem, v1::FileTransfer};

use super::normal;
use crate::problem::Result;

/// Most files of one copy, and bytes of what names them: its result holds all of that once more.
const FILES: usize = 1000;
const BYTES: usize = 2 << 20;
/// Longest path in a sandbox, in bytes.
const PATH: usize = 4096;

/// Refuses a list that is too long or malformed; `list`: the field that it is in, `rest`: how to copy
/// the others.
///
/// # Errors
/// `INVALID_FIELD`.
pub(crate) fn well_formed(list: &'static str, rest: &str, files: &[FileTransfer]) -> Result<()> {
    if files.len() > FILES {
        let message = format!("has more than 1,000 files; {rest}");
        return Err(Problem::invalid_field(list, message));
    }
    let bytes: usize = files.iter().map(FileTransfer::encoded_len).sum();
    if bytes > BYTES {
        let message = format!("has paths of more than 2 MiB together; {rest}");
        return Err(Problem::invalid_field(list, message));
    }
    for (place, file) in files.iter().enumerate() {
        let field = |name: &str| format!("{list}[{place}].{name}");
        if let Err(problem) = normal("session_path", &file.session_path) {
            let why = problem.fields().first().map(|(_, why)| why.clone());
            let why = why.unwrap_or_default();
            return Err(Problem::invalid_field(field("session_path"), why));
        }
        let path = &file.sandbox_path;
        if path.is_empty() || path.len() > PATH || path.contains('\0') {
            let message = "has 1 to 4,096 bytes, none of them NUL";
            return Err(Problem::invalid_field(field("sandbox_path"), message));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use sandgate_proto::Reason;

    use super::*;

    #[test]
    fn malformed_lists_are_refused() {
        let file = |session: &str, sandbox: &str| FileTransfer {
            session_path: session.to_owned(),
            sandbox_path: sandbox.to_owned(),
        };
        let check = |files: &[FileTransfer]| well_formed("files", "copy others later", files);
        let long = "x".repeat(4096);
        for fine in [
            vec![],
            vec![file("a", "b"); 1000],
            vec![file("a", &long); 500],
        ] {
            check(&fine).unwrap();
        }
        for (wrong, field) in [
            (vec![file("", "b")], "files[0].session_path"),
            (vec![file("a/../b", "b")], "files[0].session_path"),
            (vec![file("a", "")], "files[0].sandbox_path"),
            (
                vec![file("a", "b"), file("a", "b\0")],
                "files[1].sandbox_path",
            ),
            (
                vec![file("a", &(long.clone() + "x"))],
                "files[0].sandbox_path",
            ),
            (vec![file("a", "b"); 1001], "files"),
            (vec![file("a", &long); 520], "files"),
        ] {
            let refused = check(&wrong).unwrap_err();
            assert_eq!(refused.reason(), Reason::InvalidField);
            assert_eq!(refused.fields()[0].0, field);
        }
    }
}
