//! Requests: what each of them does.

use std::{os::fd::AsFd as _, time::Instant};

use sandgate_runner_proto::v1::{
    Cancel, Resize, Signal, StdinAccepted, ToRunner, WriteStdin, from_runner::Body, to_runner,
};

use super::Engine;
use crate::{
    answer::{Answer, done, malformed, refused},
    execution::{Ending, size_of},
    process::resize,
};

/// Longest id of a signal.
const SIGNAL_ID: usize = 128;
/// Longest reason of a cancel.
const REASON: usize = 64;

impl Engine {
    /// Does what a connection asks for.
    pub(super) fn request(&mut self, connection: u64, request: ToRunner) {
        use to_runner::Body as Asked;
        let call = request.call;
        let answer = match request.body {
            None => Err(refused(
                "UNKNOWN_REQUEST",
                "this runner is older than the request",
            )),
            Some(Asked::Hello(_)) => Err(malformed("Hello was said before")),
            Some(Asked::Start(start)) => self.start(connection, call, &start),
            Some(Asked::Observe(observe)) => self.observe(connection, call, &observe),
            Some(Asked::Credit(credit)) => {
                self.credit(connection, call, credit.bytes);
                Ok(None)
            }
            Some(Asked::Drop(_)) => {
                self.drop_call(connection, call);
                Ok(None)
            }
            Some(Asked::WriteStdin(write)) => self.write_stdin(&write),
            Some(Asked::Signal(signal)) => self.signal(signal),
            Some(Asked::Cancel(cancel)) => self.cancel(cancel),
            Some(Asked::Resize(resize)) => self.resize(&resize),
            Some(Asked::Look(look)) => self.look((connection, call), &look),
            Some(Asked::List(list)) => Ok(Some(self.list(&list))),
            Some(Asked::Files(files)) => self.hand_over(connection, call, files).map(|()| None),
            Some(Asked::Connect(connect)) => {
                self.connect_port(connection, call, &connect).map(|()| None)
            }
            Some(Asked::File(_) | Asked::FileData(_)) => {
                Err(malformed("say Files first, on a connection of its own"))
            }
            Some(Asked::Shutdown(shutdown)) => self.shut_down((connection, call), &shutdown),
        };
        match answer {
            Ok(None) => {}
            Ok(Some(body)) => self.answer(connection, call, body),
            Err(refusal) => self.answer(connection, call, Body::Refused(refusal)),
        }
    }

    fn write_stdin(&mut self, write: &WriteStdin) -> Answer {
        let execution = self.find_mut(&write.execution_id)?;
        let number = execution.number;
        let is_repeated = execution
            .input
            .has_taken(write.offset, &write.data, write.eof);
        // A process that read its last bytes may end before who sent them has the answer.
        if !execution.is_alive() && !is_repeated {
            return Err(refused("STDIN_CLOSED", "the process has ended"));
        }
        let accepted_offset = execution
            .input
            .accept(write.offset, &write.data, write.eof)?;
        self.activity = Instant::now();
        self.write_input(number);
        Ok(Some(Body::StdinAccepted(StdinAccepted { accepted_offset })))
    }

    fn signal(&mut self, signal: Signal) -> Answer {
        if !(1..=64).contains(&signal.signal) {
            return Err(malformed("a signal is a Linux number from 1 to 64"));
        }
        if signal.signal_id.len() > SIGNAL_ID {
            return Err(malformed("signal_id has at most 128 bytes"));
        }
        let execution = self.find_mut(&signal.execution_id)?;
        if !signal.signal_id.is_empty() && execution.knows_signal(&signal.signal_id) {
            return done(true);
        }
        let delivered = execution.signal(signal.signal, signal.tree);
        if delivered && !signal.signal_id.is_empty() {
            execution.remember_signal(signal.signal_id);
        }
        done(delivered)
    }

    fn cancel(&mut self, cancel: Cancel) -> Answer {
        if cancel.by.is_empty() || cancel.by.len() > REASON {
            return Err(malformed("`by` says why, in 1 to 64 bytes"));
        }
        let execution = self.find(&cancel.execution_id)?;
        let (number, alive) = (execution.number, execution.is_alive());
        self.end(number, Ending::Cancelled(cancel.by));
        done(alive)
    }

    fn resize(&mut self, wanted: &Resize) -> Answer {
        let size = wanted.size.as_ref().and_then(size_of);
        let (rows, cols) = size.ok_or_else(|| malformed("rows and columns are 1 to 65,535"))?;
        let execution = self.find_mut(&wanted.execution_id)?;
        if !execution.has_terminal() {
            return Err(refused(
                "NO_TERMINAL",
                "it runs on pipes; start it with a terminal",
            ));
        }
        if !execution.is_alive() {
            return done(false);
        }
        execution.size = Some((rows, cols));
        let master = execution
            .lanes
            .first()
            .and_then(|lane| lane.source.as_ref());
        // Fails only when the other side is gone, and then nobody looks at the size.
        let resized = master.map(|master| resize(master.as_fd(), rows, cols));
        done(!matches!(resized, Some(Err(_))))
    }
}
