//! Hands a connection over to the thread that carries connections to ports.

use std::time::Instant;

use sandgate_runner_proto::v1::{Connect, Refused};

use super::{Engine, files::is_written};
use crate::{
    answer::{malformed, refused},
    ports::Ticket,
};

impl Engine {
    /// From here on the connection is not ours, unless it is refused.
    pub(super) fn connect_port(
        &mut self,
        number: u64,
        call: u64,
        wanted: &Connect,
    ) -> Result<(), Refused> {
        let port = u16::try_from(wanted.port).ok().filter(|port| *port > 0);
        let port = port.ok_or_else(|| malformed("a port is a number from 1 to 65,535"))?;
        self.check_not_ending()?;
        self.ports.check_room()?;
        let Some(mut connection) = self.connections.remove(&number) else {
            return Ok(());
        };
        self.poller.remove(&connection.fd);
        if !connection.is_free() || !is_written(&mut connection) {
            // Dropped with all that it watched: who mixes the two is no provider of ours.
            self.forget_all(number, connection);
            return Ok(());
        }
        let ticket = Ticket {
            port,
            call,
            before: connection.rest().to_vec(),
            link: connection.fd,
        };
        // Who is not answered finds its connection closed.
        let _ = self.ports.take(ticket);
        Ok(())
    }

    /// Refuses what begins something where all is about to end.
    pub(super) fn check_not_ending(&self) -> Result<(), Refused> {
        if self.stop.has_begun() {
            return Err(refused(
                "SHUTTING_DOWN",
                "the runner ends; start it when the sandbox has been started anew",
            ));
        }
        Ok(())
    }

    /// When something was last done here, be it through a port.
    pub(super) fn last_activity(&self) -> Instant {
        let through_ports = self.ports.last_activity();
        through_ports.map_or(self.activity, |last| last.max(self.activity))
    }
}
