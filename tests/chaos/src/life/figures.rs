//! What fault `life` counts besides kills and outages.

use std::{collections::BTreeMap, fmt, time::Duration};

use super::left::Left;
use crate::tally::listed;

/// Figures of fault `life`.
#[derive(Clone, Debug, Default)]
pub struct LifeFigures {
    /// Calls that were answered, and the longest time from first attempt to answer.
    pub calls: u64,
    /// See `calls`.
    pub longest: Duration,
    /// Creates by how they were asked for and answered.
    pub creates: BTreeMap<&'static str, u64>,
    /// Two sandboxes for one request or id; a run ends at the first.
    pub duplicates: u64,
    /// Sandboxes that were there twice for a moment, where that is no fault.
    pub passing: u64,
    /// Looks at the upstream for two sandboxes of one id.
    pub looks: u64,
    /// Starts, stops and deletes that were answered.
    pub changes: BTreeMap<&'static str, u64>,
    /// Commands that ran twice; a run ends at the first.
    pub run_twice: u64,
    /// Commands whose notes in the sandbox were counted.
    pub notes: u64,
    /// Outcomes that could not be had again; a run ends at the first.
    pub lost: u64,
    /// Outcomes that were asked for again, by when.
    pub asked_again: BTreeMap<&'static str, u64>,
    /// What the last sweep did, by action.
    pub swept: BTreeMap<String, u64>,
    /// What was left after it; unset: not looked yet.
    pub left: Option<Left>,
    /// From the first kill to the end.
    pub took: Duration,
}

impl fmt::Display for LifeFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sum = |counts: &BTreeMap<&'static str, u64>| counts.values().sum::<u64>();
        writeln!(f, "creates     {}", listed(&self.creates))?;
        writeln!(
            f,
            "duplicates  {}, looked {} times{}",
            self.duplicates,
            self.looks,
            if self.passing > 0 {
                format!(", {} for a moment", self.passing)
            } else {
                String::new()
            }
        )?;
        writeln!(f, "changes     {}", listed(&self.changes))?;
        writeln!(f, "run twice   {} of {}", self.run_twice, self.notes)?;
        writeln!(
            f,
            "lost        {} of {} outcomes asked for again: {}",
            self.lost,
            sum(&self.asked_again),
            listed(&self.asked_again)
        )?;
        match &self.left {
            Some(left) => writeln!(f, "left        {left}, after one sweep"),
            None => writeln!(f, "left        not looked"),
        }?;
        writeln!(f, "swept       {}", listed(&self.swept))?;
        writeln!(
            f,
            "answers     {}, the longest took {:.1?}",
            self.calls, self.longest
        )?;
        write!(f, "time        {:.0?}", self.took)
    }
}
