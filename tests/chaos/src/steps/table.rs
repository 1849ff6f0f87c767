//! What became of each case.

use std::fmt;

use super::Case;

/// One case, as it was played.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) case: Case,
    /// What the caller saw when the step was reached.
    pub(super) saw: String,
    /// How what was asked for came about.
    pub(super) finished: String,
}

/// All cases that were played.
#[derive(Clone, Debug)]
pub struct Table(Vec<Row>);

impl Table {
    pub(super) fn new(mut rows: Vec<Row>) -> Self {
        rows.sort_by_key(|row| (row.case.step, row.case.action.name(), row.case.alone));
        Self(rows)
    }

    /// How many cases it has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing was played.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| step | action | the caller saw | finished by | left |")?;
        writeln!(f, "|---|---|---|---|---|")?;
        for row in &self.0 {
            let case = &row.case;
            let why = case.swallowed;
            let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
            writeln!(
                f,
                // A case in which something was left has ended the run.
                "| {} | {} | {} | {}{why} | 0 |",
                case.step,
                case.action.name(),
                row.saw,
                row.finished,
            )?;
        }
        Ok(())
    }
}
