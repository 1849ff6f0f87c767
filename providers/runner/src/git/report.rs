//! The line on standard output that says what came of it.

use std::io::{self, Write as _};

/// What came of it; empty where there is nothing to say.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) path: String,
    pub(super) reference: String,
    pub(super) commit: String,
    pub(super) authenticated: bool,
    pub(super) refused: &'static str,
}

impl Report {
    /// Prints it. Nobody can be told where that does not go.
    pub(super) fn print(&self) {
        let line = format!("{}\n", self.line());
        let _ = io::stdout().write_all(line.as_bytes());
    }

    fn line(&self) -> String {
        let mut members = vec![
            format!("\"path\":{}", quoted(&self.path)),
            format!("\"ref\":{}", quoted(&self.reference)),
            format!("\"commit\":{}", quoted(&self.commit)),
            format!("\"authenticated\":{}", self.authenticated),
        ];
        if !self.refused.is_empty() {
            members.push(format!("\"refused\":{}", quoted(self.refused)));
        }
        format!("{{{}}}", members.join(","))
    }
}

/// As JSON has a text.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            '\0'..='\u{1f}' => quoted.push_str(&format!("\\u{:04x}", u32::from(letter))),
            _ => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_path_is_one_line() {
        let report = Report {
            path: "/a \"b\"\\\n\u{1}é".to_owned(),
            authenticated: true,
            ..Report::default()
        };
        assert_eq!(
            report.line(),
            r#"{"path":"/a \"b\"\\\u000a\u0001é","ref":"","commit":"","authenticated":true}"#
        );
    }
}
