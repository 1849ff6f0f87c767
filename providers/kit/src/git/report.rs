//! What the runner's own program says came of it: the word of the sandbox, so bounded and checked.

use sandgate_proto::Reason;
use serde::Deserialize;

use crate::{Kind, ProviderError};

/// Longest texts in it, in bytes.
const PATH: usize = 8192;
const REF: usize = 255;
/// Bytes of output that a caller is given.
const TAIL: usize = 8 * 1024;

/// Its line on standard output; empty where it said none.
#[derive(Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub(crate) struct Report {
    pub(crate) path: String,
    #[serde(rename = "ref")]
    pub(crate) reference: String,
    pub(crate) commit: String,
    pub(crate) authenticated: bool,
    /// Why it did not begin; empty: it did.
    refused: String,
}

impl Report {
    /// Reads it.
    pub(crate) fn read(stdout: &[u8]) -> Self {
        let report: Self = serde_json::from_slice(stdout).unwrap_or_default();
        let is_commit = matches!(report.commit.len(), 0 | 40 | 64)
            && report.commit.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_commit || report.path.len() > PATH || report.reference.len() > REF {
            return Self::default();
        }
        report
    }

    /// Fails where a clone did not begin, for a reason that callers can do something about.
    pub(crate) fn check(&self) -> Result<(), ProviderError> {
        let (kind, message) = match self.refused.as_str() {
            "GIT_MISSING" => (
                Kind::GitMissing,
                "the sandbox has no program git: install it in the image or the template, or with a command, then call again with another execution_id",
            ),
            "DIRECTORY_NOT_EMPTY" => (
                Kind::File(Reason::DirectoryNotEmpty),
                "there is something at this path already: choose another path, or remove it with RemoveFile, then call again with another execution_id",
            ),
            "NOT_A_DIRECTORY" => (
                Kind::File(Reason::NotADirectory),
                "the path, or a part of it that has to be a directory, is a file; choose another path and execution_id",
            ),
            "FILE_ACCESS_DENIED" => (
                Kind::File(Reason::FileAccessDenied),
                "the user may not write there; choose another path and execution_id",
            ),
            "DISK_FULL" => (
                Kind::File(Reason::DiskFull),
                "the disk of the sandbox is full; remove something, then call again with another execution_id",
            ),
            _ => return Ok(()),
        };
        Err(ProviderError::new(kind, message).with("path", &self.path))
    }

    /// The same where a token was to be lent: callers choose neither its path nor an id.
    pub(crate) fn check_lent(&self) -> Result<(), ProviderError> {
        let (kind, message) = match self.refused.as_str() {
            "GIT_MISSING" => (
                Kind::GitMissing,
                "the sandbox has no program git: install it in the image or the template, or with a command, then repeat the call",
            ),
            "FILE_ACCESS_DENIED" => (
                Kind::File(Reason::FileAccessDenied),
                "the user may not write the file of the lent token: it belongs to another user of the sandbox. Lend to that user, or wait until that one's time is over, or remove the file with a command as that user; then repeat the call",
            ),
            "DISK_FULL" => (
                Kind::File(Reason::DiskFull),
                "the disk of the sandbox is full; remove something, then repeat the call",
            ),
            _ => return Ok(()),
        };
        Err(ProviderError::new(kind, message).with("path", &self.path))
    }
}

/// Why a program that has only one way to end well ended otherwise.
pub(crate) fn failed(output: &[u8]) -> ProviderError {
    ProviderError::new(
        Kind::Rejected,
        "git in the sandbox could not be configured: see that the user's home can be written to and its git configuration is well formed, then repeat the call",
    )
    .caused_by(tail(output))
}

/// The end of git's output as a terminal would show it: of a line that was written over, the last form.
pub(crate) fn tail(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let shown = |line: &str| {
        let line = line.trim_end_matches('\r');
        line.rsplit('\r').next().unwrap_or_default().to_owned()
    };
    let lines: Vec<String> = text.split('\n').map(shown).collect();
    let text = lines.join("\n");
    let from = text.len().saturating_sub(TAIL);
    let from = (from..text.len()).find(|at| text.is_char_boundary(*at));
    text[from.unwrap_or_default()..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_and_what_cannot_be_is_not() {
        let commit = "0a".repeat(20);
        let line = format!(
            r#"{{"path":"/w/r","ref":"main","commit":"{commit}","authenticated":true,"more":1}}"#
        );
        let report = Report::read(line.as_bytes());
        assert_eq!(
            (report.path.as_str(), report.commit.as_str()),
            ("/w/r", commit.as_str())
        );
        assert!(report.authenticated && report.check().is_ok());
        let long = format!(r#"{{"path":"{}"}}"#, "x".repeat(PATH + 1));
        for wrong in ["", "x", "[]", r#"{"commit":"zz"}"#, r#"{"path":1}"#, &long] {
            assert_eq!(
                Report::read(wrong.as_bytes()),
                Report::default(),
                "{wrong:?}"
            );
        }
    }

    #[test]
    fn a_refusal_is_an_error_of_its_own() {
        for (word, kind) in [
            ("GIT_MISSING", Kind::GitMissing),
            ("DIRECTORY_NOT_EMPTY", Kind::File(Reason::DirectoryNotEmpty)),
        ] {
            let line = format!(r#"{{"refused":"{word}"}}"#);
            let error = Report::read(line.as_bytes()).check().unwrap_err();
            assert_eq!(*error.kind(), kind);
        }
        assert!(Report::read(br#"{"refused":"FAILED"}"#).check().is_ok());
    }

    #[test]
    fn who_lends_is_not_told_to_choose_what_there_is_no_choice_of() {
        for word in ["GIT_MISSING", "FILE_ACCESS_DENIED", "DISK_FULL"] {
            let line = format!(r#"{{"refused":"{word}"}}"#);
            let report = Report::read(line.as_bytes());
            let error = report.check_lent().unwrap_err();
            assert_eq!(error.kind(), report.check().unwrap_err().kind());
            assert!(!error.to_string().contains("execution_id"), "{error}");
        }
        assert!(Report::default().check_lent().is_ok());
    }

    #[test]
    fn the_tail_is_what_a_terminal_would_show() {
        assert_eq!(
            tail(b"1%\r50%\r100%, done.\r\nfatal: x\n"),
            "100%, done.\nfatal: x\n"
        );
        assert_eq!(tail(b"\xff"), "\u{fffd}");
        let long = "é".repeat(TAIL);
        let tail = tail(long.as_bytes());
        assert!(tail.len() <= TAIL && tail.chars().all(|letter| letter == 'é'));
    }
}
