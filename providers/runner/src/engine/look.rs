//! Looks and lists: what executions there are, and how they stand.

use std::time::{Duration, Instant};

use prost::Message as _;
use sandgate_runner_proto::v1::{List, Listed, Look, from_runner::Body};

use super::Engine;
use crate::{
    answer::Answer,
    execution::{Execution, Phase, Watcher},
    timers::Due,
};

/// Most executions in one answer.
const PAGE: u32 = 1000;
/// Most bytes of them: half of what a frame may have.
const PAGE_BYTES: usize = 256 * 1024;
/// Longest wait of a Look.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

impl Engine {
    /// Says how an execution stands, at once or at its end.
    pub(super) fn look(&mut self, watcher: Watcher, look: &Look) -> Answer {
        let execution = self.find(&look.execution_id)?;
        if look.wait_ms == 0 || execution.phase == Phase::Ended {
            return Ok(Some(Body::Execution(execution.describe())));
        }
        let (connection, call) = watcher;
        self.admit(connection, call)?;
        let execution = self.find_mut(&look.execution_id)?;
        let number = execution.number;
        execution.lookers.insert(watcher);
        if let Some(connection) = self.connections.get_mut(&connection) {
            connection.looks.insert(call, number);
            self.watchers += 1;
        }
        let wait = Duration::from_millis(look.wait_ms).min(LONGEST);
        self.timers
            .add(Instant::now() + wait, Due::Look(connection, call));
        Ok(None)
    }

    /// Answers a Look that waits.
    pub(super) fn answer_look(&mut self, number: u64, call: u64) {
        let connection = self.connections.get_mut(&number);
        let Some(execution) = connection.and_then(|connection| connection.looks.remove(&call))
        else {
            return;
        };
        self.forget_look(number, call, execution);
        if let Some(execution) = self.executions.get(&execution) {
            let body = Body::Execution(execution.describe());
            self.answer(number, call, body);
        }
    }

    /// A page of executions.
    pub(super) fn list(&self, list: &List) -> Body {
        let before = if list.before_number == 0 {
            u64::MAX
        } else {
            list.before_number
        };
        let limit = if list.limit == 0 {
            PAGE
        } else {
            list.limit.min(PAGE)
        };
        let wanted = |execution: &&Execution| {
            let ended = execution
                .ended
                .as_ref()
                .map_or(0, |ended| ended.ended_number);
            list.ended_after == 0 || ended > list.ended_after
        };
        let found = self
            .executions
            .range(..before)
            .rev()
            .map(|(_, execution)| execution);
        let mut listed = Listed::default();
        let mut bytes = 0;
        for execution in found.filter(wanted) {
            let execution = execution.describe();
            bytes += execution.encoded_len() + 8;
            let is_full = listed.executions.len() as u64 == u64::from(limit);
            if is_full || (bytes > PAGE_BYTES && !listed.executions.is_empty()) {
                listed.more = true;
                break;
            }
            listed.executions.push(execution);
        }
        Body::Listed(listed)
    }
}
