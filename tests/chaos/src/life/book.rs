//! What is known of the commands of one sandbox: what was acknowledged, and how each ended.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use sandgate_proto::v1::ExecutionEnded;

use super::errand::{Deeds, Errand};
use crate::failure::{Result, broken, ensure, same};

/// What is known of one command.
#[derive(Clone, Debug)]
pub(crate) struct Fact {
    /// The command.
    pub(crate) errand: Errand,
    /// A call answered that it runs, or ran.
    pub(crate) acknowledged: bool,
    /// How it ended, once a call has said so.
    pub(crate) ended: Option<ExecutionEnded>,
}

/// All facts of one sandbox.
#[derive(Debug, Default)]
pub(crate) struct Book(Mutex<BTreeMap<String, Fact>>);

impl Book {
    /// A command that is about to be started.
    pub(crate) fn add(&self, errand: Errand) {
        let fact = Fact {
            errand,
            acknowledged: false,
            ended: None,
        };
        self.lock().insert(fact.errand.id.clone(), fact);
    }

    /// A call has acknowledged it.
    pub(crate) fn acknowledge(&self, id: &str) {
        if let Some(fact) = self.lock().get_mut(id) {
            fact.acknowledged = true;
        }
    }

    /// A call has said how it ended: it has to be due, and what was said before.
    pub(crate) fn saw(
        &self,
        rpc: &str,
        id: &str,
        ended: &ExecutionEnded,
        deeds: Deeds,
    ) -> Result<()> {
        let mut facts = self.lock();
        let Some(fact) = facts.get_mut(id) else {
            return broken(format!("{rpc} tells of {id}, which nobody started"));
        };
        fact.acknowledged = true;
        match &fact.ended {
            Some(before) => same(&format!("{id}: ended by {rpc}"), ended, before),
            None => {
                let checked = fact.errand.check(ended, deeds);
                checked.map_err(|failure| failure.at(rpc))?;
                fact.ended = Some(ended.clone());
                Ok(())
            }
        }
    }

    /// All that is known.
    pub(crate) fn facts(&self) -> Vec<Fact> {
        self.lock().values().cloned().collect()
    }

    /// Compares what each command noted in the sandbox with how often it may have run; how many ran
    /// more than once, with the failure that this is.
    pub(crate) fn check_notes(&self, notes: &str) -> (u64, Result<()>) {
        let mut runs: BTreeMap<&str, usize> = BTreeMap::new();
        for note in notes.lines() {
            *runs.entry(note).or_default() += 1;
        }
        let twice = runs.values().filter(|count| **count > 1).count() as u64;
        (twice, self.compare(runs))
    }

    fn compare(&self, mut runs: BTreeMap<&str, usize>) -> Result<()> {
        for (id, fact) in self.lock().iter() {
            let seen = runs.remove(id.as_str()).unwrap_or_default();
            let due = Errand::due_runs(fact.ended.as_ref());
            ensure(due.contains(&seen), || {
                format!("{id}: ran {seen} times, due was {due:?}; it is known as {fact:?}")
            })?;
        }
        ensure(runs.is_empty(), || {
            format!("ran without being asked to: {runs:?}")
        })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Fact>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use sandgate_proto::v1::{ChannelTotals, execution_ended::Outcome};

    use super::*;
    use crate::dice::Dice;

    fn book() -> (Book, ExecutionEnded) {
        let errand = Errand::any("e1".to_owned(), &mut Dice::of(3, 3));
        let ended = ExecutionEnded {
            outcome: Some(Outcome::ExitCode(errand.code)),
            stdout: Some(ChannelTotals {
                bytes: errand.output.len() as u64,
                truncated: false,
            }),
            ..Default::default()
        };
        let book = Book::default();
        book.add(errand);
        (book, ended)
    }

    #[test]
    fn an_end_never_changes() {
        let (book, ended) = book();
        let none = Deeds::default();
        book.saw("A", "e1", &ended, none).unwrap();
        book.saw("B", "e1", &ended, none).unwrap();
        let later = ExecutionEnded {
            end_time: Some(prost_types::Timestamp::default()),
            ..ended.clone()
        };
        assert!(book.saw("B", "e1", &later, none).is_err());
        assert!(book.saw("B", "e2", &ended, none).is_err());
    }

    #[test]
    fn who_exited_ran_once() {
        let (book, ended) = book();
        assert!(book.check_notes("").1.is_ok());
        book.saw("A", "e1", &ended, Deeds::default()).unwrap();
        assert!(book.check_notes("e1\n").1.is_ok());
        assert!(book.check_notes("").1.is_err());
        assert!(book.check_notes("e1\ne0\n").1.is_err());
        let (twice, checked) = book.check_notes("e1\ne1\n");
        assert_eq!(twice, 1);
        assert!(checked.is_err());
    }
}
