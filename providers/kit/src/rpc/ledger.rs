//! Remembers which execution_ids were used, so that a repeated start never runs a command twice.
//! Held in memory, for the last thousand of each sandbox.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use sandgate_proto::{Problem, Reason};

/// Executions remembered of one sandbox.
const REMEMBERED: usize = 1000;

#[derive(Default)]
pub(super) struct Ledger {
    sandboxes: Mutex<HashMap<String, Used>>,
}

#[derive(Default)]
struct Used {
    ids: HashSet<String>,
    order: VecDeque<String>,
}

/// An execution_id taken for one start.
#[must_use]
pub(super) struct Claim {
    sandbox_id: String,
    execution_id: String,
}

impl Ledger {
    /// Takes the id, unless it was used before.
    pub(super) fn claim(&self, sandbox_id: &str, execution_id: &str) -> Result<Claim, Problem> {
        let mut sandboxes = self.lock();
        let used = sandboxes.entry(sandbox_id.to_owned()).or_default();
        if !used.ids.insert(execution_id.to_owned()) {
            return Err(Problem::new(
                Reason::ExecutionIdReused,
                format!("execution {execution_id} was started before and this provider cannot attach to it; choose another execution_id to run the command again"),
            )
            .with("execution_id", execution_id));
        }
        used.order.push_back(execution_id.to_owned());
        if used.order.len() > REMEMBERED
            && let Some(oldest) = used.order.pop_front()
        {
            used.ids.remove(&oldest);
        }
        Ok(Claim {
            sandbox_id: sandbox_id.to_owned(),
            execution_id: execution_id.to_owned(),
        })
    }

    /// Drops all ids of a sandbox that is gone.
    pub(super) fn forget(&self, sandbox_id: &str) {
        self.lock().remove(sandbox_id);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Used>> {
        self.sandboxes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Claim {
    /// The command never started; its id may be used again.
    pub(super) fn give_back(self, ledger: &Ledger) {
        if let Some(used) = ledger.lock().get_mut(&self.sandbox_id) {
            used.ids.remove(&self.execution_id);
            used.order.retain(|id| *id != self.execution_id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_taken_once_unless_given_back() {
        let ledger = Ledger::default();
        let claim = ledger.claim("s", "e").unwrap();
        assert_eq!(
            ledger.claim("s", "e").err().unwrap().reason(),
            Reason::ExecutionIdReused
        );
        let _other = ledger.claim("t", "e").unwrap();
        claim.give_back(&ledger);
        let _again = ledger.claim("s", "e").unwrap();
        ledger.forget("s");
        let _third = ledger.claim("s", "e").unwrap();
    }

    #[test]
    fn memory_is_bounded() {
        let ledger = Ledger::default();
        for number in 0..3 * REMEMBERED {
            let _claim = ledger.claim("s", &number.to_string()).unwrap();
        }
        assert_eq!(ledger.lock()["s"].ids.len(), REMEMBERED);
    }
}
