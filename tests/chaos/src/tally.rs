//! What a run did, counted.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::life::LifeFigures;

/// Figures of a run.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Rounds that were gone through.
    pub rounds: u64,
    /// Kills, by what was killed.
    pub kills: BTreeMap<&'static str, u64>,
    /// Executions, by how they ended.
    pub executions: BTreeMap<&'static str, u64>,
    /// Bytes of output that were compared with those that were due.
    pub bytes: u64,
    /// Streams that broke and went on: how long each was away.
    pub resumes: Vec<Duration>,
    /// How long what was killed did not serve.
    pub outages: Vec<Duration>,
    /// Failed attempts that were repeated, by what they said.
    pub repeats: BTreeMap<String, u64>,
    /// What fault `life` counts besides.
    pub life: LifeFigures,
}

/// Figures that many tasks add to.
#[derive(Debug, Default)]
pub(crate) struct Tally(Mutex<Figures>);

impl Tally {
    /// The figures, to add to.
    pub(crate) fn add(&self) -> MutexGuard<'_, Figures> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The figures so far.
    pub(crate) fn figures(&self) -> Figures {
        self.add().clone()
    }
}

/// The middle one and the longest.
fn spread(times: &[Duration]) -> (Duration, Duration) {
    let mut sorted = times.to_vec();
    sorted.sort();
    let middle = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
    (middle, sorted.last().copied().unwrap_or_default())
}

pub(crate) fn listed<K: fmt::Display>(counts: &BTreeMap<K, u64>) -> String {
    let each: Vec<String> = counts
        .iter()
        .map(|(what, count)| format!("{what} {count}"))
        .collect();
    each.join(", ")
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (resume, longest) = spread(&self.resumes);
        let (outage, worst) = spread(&self.outages);
        let executions: u64 = self.executions.values().sum();
        let kills: u64 = self.kills.values().sum();
        if self.rounds > 0 {
            writeln!(f, "rounds      {}", self.rounds)?;
        }
        writeln!(f, "kills       {kills}: {}", listed(&self.kills))?;
        writeln!(f, "executions  {executions}: {}", listed(&self.executions))?;
        writeln!(f, "bytes       {} compared", self.bytes)?;
        if self.rounds > 0 {
            writeln!(
                f,
                "resumes     {}, away for p50 {resume:.0?}, at most {longest:.0?}",
                self.resumes.len()
            )?;
        }
        writeln!(
            f,
            "outages     from kill to serving p50 {outage:.0?}, at most {worst:.0?}"
        )?;
        write!(f, "repeats     {}", listed(&self.repeats))?;
        if self.life.calls > 0 {
            write!(f, "\n{}", self.life)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_lines_of_their_own() {
        let figures = Figures {
            rounds: 1,
            kills: [("both", 1), ("gateway", 2)].into(),
            resumes: [30, 10, 20].map(Duration::from_millis).into(),
            ..Figures::default()
        };
        let text = figures.to_string();
        assert!(
            text.contains("kills       3: both 1, gateway 2\n"),
            "{text}"
        );
        assert!(
            text.contains("3, away for p50 20ms, at most 30ms"),
            "{text}"
        );
    }
}
