//! Sends: each connection what it has room for, its observations in turns.

use super::Engine;
use crate::{
    answer::frame,
    connection::Stage,
    execution::{Pace, Step},
};

/// Rounds of a connection before the next one has its turn.
const ROUNDS: usize = 4;

impl Engine {
    /// Has a connection served in this turn, or the next.
    pub(super) fn mark_dirty(&mut self, number: u64) {
        if let Some(connection) = self.connections.get_mut(&number)
            && !connection.is_dirty
        {
            connection.is_dirty = true;
            self.dirty.push(number);
        }
    }

    /// Serves all connections that may have something to be sent.
    pub(super) fn serve_dirty(&mut self) {
        for number in std::mem::take(&mut self.dirty) {
            if let Some(connection) = self.connections.get_mut(&number) {
                connection.is_dirty = false;
                self.serve(number);
            }
        }
    }

    fn serve(&mut self, number: u64) {
        for _ in 0..ROUNDS {
            self.fill(number);
            let Some(connection) = self.connections.get_mut(&number) else {
                return;
            };
            let was_clogged = connection.outbox.is_clogged();
            let Ok(written) = connection.outbox.flush(&connection.fd) else {
                return self.close(number);
            };
            let (is_clogged, is_empty) =
                (connection.outbox.is_clogged(), connection.outbox.is_empty());
            if written > 0 && self.primary == Some(number) {
                self.stop.note_progress();
            }
            if was_clogged && !is_clogged {
                self.handle_requests(number);
                self.mark_dirty(number);
            }
            if !is_empty {
                break;
            }
        }
        let Some(connection) = self.connections.get(&number) else {
            return;
        };
        match (connection.outbox.is_empty(), connection.stage) {
            (true, Stage::Closing) => return self.close(number),
            (true, _) if !connection.ready.is_empty() => self.mark_dirty(number),
            _ => {}
        }
        self.watch_connection(number);
    }

    /// Takes output for a connection as long as there is room.
    fn fill(&mut self, number: u64) {
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        while connection.outbox.has_room()
            && let Some(call) = connection.ready.pop_front()
        {
            let Some(observation) = connection.observations.get_mut(&call) else {
                continue;
            };
            let Some(execution) = self.executions.get_mut(&observation.number) else {
                continue;
            };
            match observation.step(execution) {
                Step::Send(body) => {
                    connection.outbox.output(&frame(call, body));
                    connection.ready.push_back(call);
                }
                Step::Last(body) => {
                    connection.outbox.output(&frame(call, body));
                    connection.observations.remove(&call);
                    execution.observations -= 1;
                    self.watchers -= 1;
                }
                Step::Wait => {
                    observation.pace = Pace::Waiting;
                    execution.waiting.insert((number, call));
                }
                Step::Park => observation.pace = Pace::Parked,
            }
        }
    }

    /// Lets those go on that wait for output or the end of an execution.
    pub(super) fn wake(&mut self, number: u64) {
        let Some(execution) = self.executions.get_mut(&number) else {
            return;
        };
        for (connection, call) in std::mem::take(&mut execution.waiting) {
            self.make_ready(connection, call);
        }
    }

    /// Gives an observation its turn.
    pub(super) fn make_ready(&mut self, number: u64, call: u64) {
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        let Some(observation) = connection.observations.get_mut(&call) else {
            return;
        };
        if observation.pace != Pace::Ready {
            observation.pace = Pace::Ready;
            connection.ready.push_back(call);
            self.mark_dirty(number);
        }
    }
}
