//! Observations: begun, given credit, gone.

use sandgate_runner_proto::v1::{Observe, Refused, Start, from_runner::Body};

use super::Engine;
use crate::{
    answer::{Answer, malformed, not_found, refused},
    execution::{Ending, Execution, Observation, Pace},
};

/// Observations and waiting Looks of all connections together.
const WATCHERS: usize = 16 * 1024;

impl Engine {
    /// Begins to watch.
    pub(super) fn observe(&mut self, connection: u64, call: u64, wanted: &Observe) -> Answer {
        let execution = self.find(&wanted.execution_id)?;
        let observation = Observation::new(wanted, Some(execution), execution.has_terminal())?;
        self.admit(connection, call)?;
        let started = execution.started(true);
        self.answer(connection, call, Body::Started(started));
        self.watch(connection, call, observation);
        Ok(None)
    }

    /// The observation that Start asks for; `execution` none: it has yet to begin.
    pub(super) fn observation_of(
        &self,
        (connection, call): (u64, u64),
        start: &Start,
        execution: Option<&Execution>,
    ) -> Result<Option<Observation>, Refused> {
        let Some(wanted) = &start.observe else {
            return Ok(None);
        };
        let terminal = execution.map_or(start.terminal.is_some(), Execution::has_terminal);
        let mut observation = Observation::new(wanted, execution, terminal)?;
        observation.cancels = start.cancel_on_disconnect;
        self.admit(connection, call)?;
        Ok(Some(observation))
    }

    /// Whether one more may watch by this call.
    pub(super) fn admit(&self, connection: u64, call: u64) -> Result<(), Refused> {
        let found = self.connections.get(&connection);
        if found.is_some_and(|connection| connection.knows_call(call)) {
            return Err(malformed("this call is in use; take another number"));
        }
        if self.watchers >= WATCHERS {
            let message = "too many observations and waiting Looks; end some, or try again later";
            return Err(refused("TOO_MANY_OBSERVERS", message));
        }
        Ok(())
    }

    /// Takes up an observation that was admitted.
    pub(super) fn watch(&mut self, number: u64, call: u64, observation: Observation) {
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        if let Some(execution) = self.executions.get_mut(&observation.number) {
            execution.observations += 1;
            self.watchers += 1;
            connection.observations.insert(call, observation);
            connection.ready.push_back(call);
            self.mark_dirty(number);
        }
    }

    /// Lets an observation send more.
    pub(super) fn credit(&mut self, number: u64, call: u64, bytes: u64) {
        let connection = self.connections.get_mut(&number);
        let observation = connection.and_then(|connection| connection.observations.get_mut(&call));
        if observation.is_some_and(|observation| observation.give(bytes)) {
            self.make_ready(number, call);
        }
    }

    /// Ends an observation or a waiting Look.
    pub(super) fn drop_call(&mut self, number: u64, call: u64) {
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        if let Some(execution) = connection.looks.remove(&call) {
            return self.forget_look(number, call, execution);
        }
        if let Some(observation) = connection.observations.remove(&call) {
            if observation.pace == Pace::Ready {
                connection.ready.retain(|ready| *ready != call);
            }
            self.forget(number, call, &observation);
        }
    }

    /// Forgets an observation that its connection has let go.
    pub(super) fn forget(&mut self, number: u64, call: u64, observation: &Observation) {
        self.watchers -= 1;
        if let Some(execution) = self.executions.get_mut(&observation.number) {
            execution.observations -= 1;
            execution.waiting.remove(&(number, call));
        }
        if observation.cancels {
            let ending = Ending::Cancelled("DISCONNECT".to_owned());
            self.end(observation.number, ending);
        }
    }

    /// Forgets a waiting Look that its connection has let go.
    pub(super) fn forget_look(&mut self, number: u64, call: u64, execution: u64) {
        self.watchers -= 1;
        if let Some(execution) = self.executions.get_mut(&execution) {
            execution.lookers.remove(&(number, call));
        }
    }

    /// An execution by its id.
    pub(super) fn find(&self, id: &str) -> Result<&Execution, Refused> {
        let number = self.ids.get(id).ok_or_else(not_found)?;
        self.executions.get(number).ok_or_else(not_found)
    }

    /// An execution by its id, to be changed.
    pub(super) fn find_mut(&mut self, id: &str) -> Result<&mut Execution, Refused> {
        let number = self.ids.get(id).ok_or_else(not_found)?;
        self.executions.get_mut(number).ok_or_else(not_found)
    }
}
