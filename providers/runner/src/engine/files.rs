//! Hands a connection over to a process of its own that works on files.

use std::{
    fs::File,
    io::{self, Seek as _, Write as _},
    os::fd::{AsFd as _, OwnedFd},
    time::Instant,
};

use rustix::fs::{MemfdFlags, memfd_create};
use sandgate_runner_proto::{
    put_frame,
    v1::{Files, Refused, ToRunner, to_runner},
};

use super::Engine;
use crate::{
    answer::{malformed, refused},
    connection::Connection,
    process::Worker,
};

impl Engine {
    /// From here on the connection is not ours, unless it is refused.
    pub(super) fn hand_over(
        &mut self,
        number: u64,
        call: u64,
        files: Files,
    ) -> Result<(), Refused> {
        if files.user.len() > 256 || !(files.cwd.is_empty() || files.cwd.starts_with('/')) {
            return Err(malformed(
                "user has at most 256 bytes, cwd is an absolute folder",
            ));
        }
        self.check_not_ending()?;
        self.workers.check_room()?;
        let Some(mut connection) = self.connections.remove(&number) else {
            return Ok(());
        };
        self.poller.remove(&connection.fd);
        if !connection.is_free() || !is_written(&mut connection) {
            // Dropped with all that it watched: who mixes the two is no provider of ours.
            self.forget_all(number, connection);
            return Ok(());
        }
        let Ok(life) = self.workers.begin(&self.poller, files.looks) else {
            return Ok(());
        };
        let looks = files.looks;
        let options = &self.setup.options;
        let or = |own: String, other: &str| match own.as_str() {
            "" => other.to_owned(),
            _ => own,
        };
        let worker = Worker {
            cwd: or(files.cwd.clone(), &options.cwd.to_string_lossy()).into(),
            user: or(files.user.clone(), &options.user),
            before: match before(call, files, &mut connection) {
                Ok(before) => before,
                Err(_) => return Ok(()),
            },
            socket: connection.fd,
            life,
        };
        if !self.spawner.hand_over(call, worker) {
            return Err(refused(
                "TOO_MANY_EXECUTIONS",
                "too many processes wait to be started; try again",
            ));
        }
        if !looks {
            self.activity = Instant::now();
        }
        Ok(())
    }
}

/// Whether nothing is left to be written, which a socket that was just opened has room for.
pub(super) fn is_written(connection: &mut Connection) -> bool {
    let flushed = connection.outbox.flush(&connection.fd);
    flushed.is_ok() && connection.outbox.is_empty()
}

/// What the worker is to read first: the request that made it, and what came behind it.
fn before(call: u64, files: Files, connection: &mut Connection) -> io::Result<OwnedFd> {
    rustix::io::ioctl_fionbio(connection.fd.as_fd(), false)?;
    let mut bytes = Vec::new();
    let body = Some(to_runner::Body::Files(files));
    put_frame(&ToRunner { call, body }, &mut bytes);
    bytes.extend_from_slice(&connection.rest());
    let mut file = File::from(memfd_create("before", MemfdFlags::CLOEXEC)?);
    file.write_all(&bytes)?;
    file.rewind()?;
    Ok(file.into())
}
