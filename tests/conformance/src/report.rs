//! What a run found, as a table and as JSON.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use crate::Options;

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The rule is kept.
    Pass,
    /// It is not.
    Fail,
    /// The provider says that it cannot, and refuses as it should.
    Unsupported,
}

impl Verdict {
    fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Unsupported => "unsupported",
        }
    }
}

/// One check.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Rule of the contract, or the rpc.
    pub rule: String,
    /// Name of the check.
    pub check: String,
    /// What the contract demands.
    pub demand: String,
    /// How it went.
    pub result: Verdict,
    /// How long it took.
    pub seconds: f64,
    /// What was seen instead; empty if it passed.
    pub seen: String,
}

/// A run.
#[derive(Clone, Debug)]
pub struct Report {
    target: String,
    provider: String,
    direct: bool,
    rows: BTreeMap<usize, Row>,
    interrupted: bool,
}

impl Report {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            target: options.target.clone(),
            provider: options.provider.clone(),
            direct: options.direct,
            rows: BTreeMap::new(),
            interrupted: false,
        }
    }

    /// Adds a row at its place in the suite.
    pub(crate) fn add(&mut self, place: usize, row: Row) {
        self.rows.insert(place, row);
    }

    /// Notes that not all was checked.
    pub(crate) fn interrupt(&mut self) {
        self.interrupted = true;
    }

    /// Every row, in the order of the suite.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.values()
    }

    /// How many checks went so.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.rows().filter(|row| row.result == verdict).count()
    }

    /// Whether all was checked and nothing failed.
    pub fn is_good(&self) -> bool {
        !self.interrupted && self.count(Verdict::Fail) == 0
    }

    /// The report as one JSON object.
    pub fn to_json(&self) -> String {
        let rows: Vec<&Row> = self.rows().collect();
        let object = serde_json::json!({
            "target": self.target,
            "provider": self.provider,
            "direct": self.direct,
            "interrupted": self.interrupted,
            "passed": self.count(Verdict::Pass),
            "failed": self.count(Verdict::Fail),
            "unsupported": self.count(Verdict::Unsupported),
            "checks": rows,
        });
        format!("{object:#}")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |text: fn(&Row) -> &str| self.rows().map(|row| text(row).len()).max();
        let rule = width(|row| &row.rule).unwrap_or(0);
        let check = width(|row| &row.check).unwrap_or(0);
        for row in self.rows() {
            let result = row.result.name();
            let Row { seconds, seen, .. } = row;
            let line = format!(
                "{:<rule$}  {:<check$}  {result:<11}  {seconds:>6.2} s",
                row.rule, row.check
            );
            match row.result {
                Verdict::Pass => writeln!(f, "{line}")?,
                Verdict::Unsupported => writeln!(f, "{line}  {seen}")?,
                Verdict::Fail => {
                    writeln!(f, "{line}\n    due:  {}\n    seen: {seen}", row.demand)?;
                }
            }
        }
        if self.interrupted {
            writeln!(f, "interrupted: not every check was run")?;
        }
        write!(
            f,
            "{}{}: {} passed, {} failed, {} unsupported",
            self.provider,
            if self.direct { " (direct)" } else { "" },
            self.count(Verdict::Pass),
            self.count(Verdict::Fail),
            self.count(Verdict::Unsupported),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(check: &str, result: Verdict) -> Row {
        Row {
            rule: "rule 3".to_owned(),
            check: check.to_owned(),
            demand: "A timeout is timed_out.".to_owned(),
            result,
            seconds: 0.25,
            seen: "exit_code 124".to_owned(),
        }
    }

    fn report(rows: Vec<Row>) -> Report {
        let mut report = Report::new(&Options {
            provider: "p".to_owned(),
            ..Options::default()
        });
        // Checks end in any order.
        for (place, row) in rows.into_iter().enumerate().rev() {
            report.add(place, row);
        }
        report
    }

    #[test]
    fn a_failure_says_what_was_due_and_what_was_seen() {
        let rows = vec![row("first", Verdict::Pass), row("second", Verdict::Fail)];
        let report = report(rows);
        assert!(!report.is_good());
        let text = report.to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("rule 3  first   pass"), "{text}");
        assert!(lines[1].starts_with("rule 3  second  fail"), "{text}");
        assert_eq!(lines[2], "    due:  A timeout is timed_out.");
        assert_eq!(lines[3], "    seen: exit_code 124");
        assert_eq!(lines[4], "p: 1 passed, 1 failed, 0 unsupported");
    }

    #[test]
    fn unsupported_is_good_and_an_interrupted_run_is_not() {
        let mut report = report(vec![
            row("a", Verdict::Pass),
            row("b", Verdict::Unsupported),
        ]);
        assert!(report.is_good());
        report.interrupt();
        assert!(!report.is_good());
        assert!(report.to_string().contains("interrupted"));
    }

    #[test]
    fn json_holds_the_same() {
        let report = report(vec![
            row("a", Verdict::Unsupported),
            row("b", Verdict::Fail),
        ]);
        let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
        assert_eq!(json["failed"], 1);
        assert_eq!(json["unsupported"], 1);
        assert_eq!(json["checks"][0]["result"], "unsupported");
        assert_eq!(json["checks"][1]["check"], "b");
    }
}
