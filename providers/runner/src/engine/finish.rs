//! The last of an execution: its outcome is noted and told, its descriptors are let go.

use std::time::Instant;

use super::Engine;
use crate::{execution::Phase, process::StartFailure};

impl Engine {
    /// Notes how an execution ended and tells all who wait for it.
    pub(super) fn finish(&mut self, number: u64, failure: Option<StartFailure>) {
        let Some(execution) = self.executions.get_mut(&number) else {
            return;
        };
        if execution.phase == Phase::Ended {
            return;
        }
        self.ended_count += 1;
        execution.set_ended(failure, self.ended_count);
        execution.phase = Phase::Ended;
        if let Some(fd) = execution.input.fd() {
            self.poller.remove(fd);
        }
        execution.input.close();
        for lane in &mut execution.lanes {
            lane.spool.finish(&mut self.budget);
            if let Some(source) = lane.source.take() {
                self.poller.remove(&source);
                self.leftovers.add(&self.poller, source);
            }
        }
        if self.setup.is_init {
            // What it left behind ends with the namespace.
            execution.tree = None;
        }
        let lookers = std::mem::take(&mut execution.lookers);
        self.running -= 1;
        self.activity = Instant::now();
        self.ended.push_back(number);
        self.holding.push_back(number);
        for (connection, call) in lookers {
            self.answer_look(connection, call);
        }
        self.wake(number);
        self.write_state();
        self.evict();
        self.check_stop();
    }
}
