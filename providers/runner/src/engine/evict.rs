//! What is let go for what is new: old executions, and output of ended ones.

use super::Engine;
use crate::timers::Due;

/// Ended executions that are kept.
const ENDED: usize = 1000;

impl Engine {
    /// Forgets the oldest ended executions; one that is watched stays until the next time.
    pub(super) fn evict(&mut self) {
        while self.ended.len() > ENDED {
            let unwatched = |number: &u64| {
                let execution = self.executions.get(number);
                execution.is_none_or(|execution| execution.observations == 0)
            };
            let Some(at) = self.ended.iter().position(unwatched) else {
                return;
            };
            if let Some(number) = self.ended.remove(at) {
                self.drop_output(number);
                self.holding.retain(|holding| *holding != number);
                if let Some(execution) = self.executions.remove(&number) {
                    self.ids.remove(&execution.id);
                }
            }
        }
    }

    /// Lets go of the output of ended executions, the oldest first, until so much may be kept.
    pub(super) fn make_room(&mut self, bytes: u64) {
        while self.budget.left() < bytes
            && let Some(number) = self.holding.pop_front()
        {
            self.drop_output(number);
        }
    }

    fn drop_output(&mut self, number: u64) {
        if let Some(execution) = self.executions.get_mut(&number) {
            for lane in &mut execution.lanes {
                lane.spool.drop_bytes(&mut self.budget);
            }
        }
    }

    /// Has the state written soon, where there is such a file.
    pub(super) fn plan_state(&mut self) {
        if let Some(state) = self.state.as_mut().filter(|state| !state.is_planned) {
            state.is_planned = true;
            self.timers.add(state.next(), Due::State);
        }
    }

    /// Writes the state, where there is such a file.
    pub(super) fn write_state(&mut self) {
        if let (Some(state), Some(execution)) = (&mut self.state, self.executions.values().next()) {
            state.write(&self.identity.boot_id, execution);
        }
    }
}
