//! Connections: who may have one, what comes in on it, and its end.

use std::{
    os::fd::{AsFd as _, OwnedFd},
    time::{Duration, Instant},
};

use rustix::io::Errno;
use sandgate_runner_proto::v1::{Hello, Refused, ToRunner, Welcome, from_runner::Body, to_runner};
use subtle::ConstantTimeEq as _;

use super::Engine;
use crate::{
    answer::{frame, malformed, refused},
    connection::{Connection, Stage},
    poller::{Interest, Token},
    sys,
    timers::Due,
};

/// Most connections.
const CONNECTIONS: usize = 512;
/// How long a connection may take to say Hello.
const HELLO: Duration = Duration::from_secs(10);

impl Engine {
    /// Takes in whoever waits.
    pub(super) fn accept(&mut self) {
        while let Ok((socket, _)) = self.listener.accept() {
            let Ok(peer) = sys::peer(socket.as_fd()) else {
                continue;
            };
            if socket.set_nonblocking(true).is_err() || !self.make_place() {
                continue;
            }
            if let Some(number) = self.connect(Connection::new(socket.into(), peer, true)) {
                self.timers.add(Instant::now() + HELLO, Due::Hello(number));
            }
        }
    }

    /// Output of the runner itself as a connection that never says anything.
    pub(crate) fn connect_output(&mut self, fd: OwnedFd) -> Option<u64> {
        let number = self.connect(Connection::new(fd, (0, 0), false));
        self.primary = number;
        number
    }

    fn connect(&mut self, connection: Connection) -> Option<u64> {
        self.newest_connection += 1;
        let number = self.newest_connection;
        let interest = connection.interest;
        self.poller
            .add(&connection.fd, Token::Connection(number), interest)
            .ok()?;
        self.connections.insert(number, connection);
        Some(number)
    }

    /// Whether there is place for one more; the oldest that has yet to say Hello makes some.
    fn make_place(&mut self) -> bool {
        if self.connections.len() < CONNECTIONS {
            return true;
        }
        let silent = self
            .connections
            .iter()
            .find(|(_, found)| found.stage == Stage::New);
        match silent.map(|(number, _)| *number) {
            Some(number) => {
                self.close(number);
                true
            }
            None => false,
        }
    }

    /// Closes a connection that has yet to say Hello.
    pub(super) fn expect_hello(&mut self, number: u64) {
        let found = self.connections.get(&number);
        if found.is_some_and(|connection| connection.stage == Stage::New) {
            self.close(number);
        }
    }

    /// Reads once; there may be more.
    pub(super) fn read_connection(&mut self, number: u64, hung_up: bool) {
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        if !connection.interest.read {
            if hung_up {
                self.close(number);
            } else {
                self.mark_dirty(number);
            }
            return;
        }
        match rustix::io::read(&connection.fd, &mut self.scratch[..]) {
            Ok(size @ 1..) => {
                connection.feed(&self.scratch[..size]);
                self.handle_requests(number);
                self.mark_dirty(number);
            }
            Err(Errno::AGAIN | Errno::INTR) => self.mark_dirty(number),
            Ok(0) | Err(_) => self.close(number),
        }
    }

    /// Handles the requests that are there whole.
    pub(super) fn handle_requests(&mut self, number: u64) {
        while let Some(connection) = self.connections.get_mut(&number) {
            let stage = connection.stage;
            match connection.next_request() {
                Ok(None) => return,
                Ok(Some(frame)) if stage == Stage::New => self.greet(number, frame),
                Ok(Some(frame)) => self.request(number, frame),
                Err(broken) => self.expel(number, 0, malformed(&broken.to_string())),
            }
        }
    }

    fn greet(&mut self, number: u64, request: ToRunner) {
        let call = request.call;
        let Some(to_runner::Body::Hello(hello)) = request.body else {
            return self.expel(number, call, malformed("say Hello first"));
        };
        if !self.lets_in(number, &hello) {
            let message = "this runner listens to its provider only, or to who knows its secret";
            return self.expel(number, call, refused("NOT_LET_IN", message));
        }
        let version = match self.identity.agree(&hello) {
            Ok(version) => version,
            Err(refusal) => return self.expel(number, call, refusal),
        };
        if let Some(connection) = self.connections.get_mut(&number) {
            connection.stage = Stage::Open;
        }
        let welcome = self.welcome(version);
        self.answer(number, call, Body::Welcome(welcome));
    }

    fn welcome(&self, version: u32) -> Welcome {
        let (sandbox_id, generation) = self.identity.sandbox.clone().unwrap_or_default();
        Welcome {
            version,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            sandbox_id,
            generation,
            boot_id: self.identity.boot_id.clone(),
            kill_guarantee: self.keeper.guarantee().into(),
            sees_oom: self.keeper.sees_oom(),
            running: u32::try_from(self.running).unwrap_or(u32::MAX),
            idle_ms: self
                .last_activity()
                .elapsed()
                .as_millis()
                .try_into()
                .unwrap_or(u64::MAX),
        }
    }

    /// As PID 1 only callers from outside our pid namespace are let in, whom the kernel gives pid 0;
    /// else those of our own user, and root. Who knows the secret always is.
    fn lets_in(&self, number: u64, hello: &Hello) -> bool {
        let Some(connection) = self.connections.get(&number) else {
            return false;
        };
        let (pid, uid) = connection.peer;
        let known = self.setup.secret.as_ref();
        let knows = known.is_some_and(|secret| bool::from(secret[..].ct_eq(&hello.secret)));
        let may = if self.setup.is_init {
            pid == 0
        } else {
            uid == 0 || uid == rustix::process::getuid().as_raw()
        };
        knows || may
    }

    /// Says why, and closes once that is written.
    fn expel(&mut self, number: u64, call: u64, refusal: Refused) {
        self.answer(number, call, Body::Refused(refusal));
        if let Some(connection) = self.connections.get_mut(&number) {
            connection.stage = Stage::Closing;
        }
    }

    /// Answers ahead of all output.
    pub(super) fn answer(&mut self, number: u64, call: u64, body: Body) {
        if let Some(connection) = self.connections.get_mut(&number) {
            connection.outbox.answer(&frame(call, body));
            self.mark_dirty(number);
        }
    }

    /// Ends a connection and all that it watched.
    pub(super) fn close(&mut self, number: u64) {
        let Some(connection) = self.connections.remove(&number) else {
            return;
        };
        self.poller.remove(&connection.fd);
        self.forget_all(number, connection);
    }

    /// Forgets all that a connection watched.
    pub(super) fn forget_all(&mut self, number: u64, connection: Connection) {
        for (call, observation) in connection.observations {
            self.forget(number, call, &observation);
        }
        for (call, execution) in connection.looks {
            self.forget_look(number, call, execution);
        }
    }

    /// Sets what a connection's descriptor is watched for.
    pub(super) fn watch_connection(&mut self, number: u64) {
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        let wanted: Interest = connection.wanted();
        if connection.interest != wanted {
            connection.interest = wanted;
            self.poller
                .change(&connection.fd, Token::Connection(number), wanted);
        }
    }
}
