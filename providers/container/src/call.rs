//! Every kind of call to the engine, and how long each may take: no call is made outside this table.

use std::{future::Future, time::Duration};

use bollard::errors::Error;
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use tokio::time::timeout;

use crate::fault::{Cause, Fault};

/// A kind of call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    name: &'static str,
    limit: Duration,
    changes: bool,
}

const fn reads(name: &'static str, seconds: u64) -> Call {
    Call {
        name,
        limit: Duration::from_secs(seconds),
        changes: false,
    }
}

const fn changes(name: &'static str, seconds: u64) -> Call {
    Call {
        name,
        limit: Duration::from_secs(seconds),
        changes: true,
    }
}

/// Shorter than the kit's health interval.
pub(crate) const PING: Call = reads("ping", 3);
pub(crate) const NEGOTIATE: Call = reads("version", 3);
pub(crate) const INFO: Call = reads("info", 10);
pub(crate) const INSPECT: Call = reads("inspect", 10);
pub(crate) const LIST: Call = reads("list", 20);
/// Silence on a pull, not its whole length. Repeating one does no harm.
pub(crate) const PULL: Call = reads("pull", 120);
pub(crate) const CREATE_NETWORK: Call = changes("create network", 30);
pub(crate) const REMOVE_NETWORK: Call = changes("remove network", 30);
pub(crate) const REMOVE_VOLUME: Call = changes("remove volume", 30);
/// A first container of a large image may have to unpack it.
pub(crate) const CREATE_CONTAINER: Call = changes("create container", 60);
pub(crate) const START_CONTAINER: Call = changes("start container", 60);
/// The engine itself waits 10 s between TERM and KILL.
pub(crate) const STOP_CONTAINER: Call = changes("stop container", 45);
pub(crate) const PAUSE: Call = changes("pause container", 30);
pub(crate) const UNPAUSE: Call = changes("unpause container", 30);
pub(crate) const REMOVE_CONTAINER: Call = changes("remove container", 60);
pub(crate) const UPLOAD: Call = changes("upload", 30);
pub(crate) const DOWNLOAD: Call = reads("download", 30);
pub(crate) const LOGS: Call = reads("logs", 10);
pub(crate) const RENAME: Call = changes("rename container", 15);
pub(crate) const CREATE_EXEC: Call = changes("create exec", 15);
pub(crate) const START_EXEC: Call = changes("start exec", 30);

/// Timeout that bollard itself is given, in seconds: longer than any above, so that ours decide.
pub(crate) const CLIENT_SECONDS: u64 = 150;

impl Call {
    /// Waits for `work`, but not longer than this kind of call may take.
    pub(crate) async fn run<T>(
        self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Fault> {
        match timeout(self.limit, work).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(self.fault(Cause::Engine(error))),
            Err(_) => Err(self.fault(Cause::Timeout)),
        }
    }

    /// Reads a stream of progress to its end; each step may take as long as a call.
    pub(crate) async fn drain<T>(
        self,
        progress: impl Stream<Item = Result<T, Error>>,
    ) -> Result<(), Fault> {
        let mut progress = std::pin::pin!(progress);
        loop {
            match timeout(self.limit, progress.next()).await {
                Ok(Some(Ok(_))) => {}
                Ok(Some(Err(error))) => return Err(self.fault(Cause::Engine(error))),
                Ok(None) => return Ok(()),
                Err(_) => return Err(self.fault(Cause::Timeout)),
            }
        }
    }

    /// Reads a stream of bytes, of which the first `most` are wanted.
    pub(crate) async fn read(
        self,
        stream: impl Stream<Item = Result<Bytes, Error>>,
        most: usize,
    ) -> Result<Vec<u8>, Fault> {
        let mut stream = std::pin::pin!(stream);
        let mut all = Vec::new();
        while all.len() < most {
            match timeout(self.limit, stream.next()).await {
                Ok(Some(Ok(bytes))) => all.extend_from_slice(&bytes),
                Ok(Some(Err(error))) => return Err(self.fault(Cause::Engine(error))),
                Ok(None) => break,
                Err(_) => return Err(self.fault(Cause::Timeout)),
            }
        }
        all.truncate(most);
        Ok(all)
    }

    fn fault(self, cause: Cause) -> Fault {
        Fault::new(self.name, self.changes, cause)
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[test]
    fn no_limit_is_past_that_of_the_client() {
        for call in [
            PULL,
            CREATE_CONTAINER,
            STOP_CONTAINER,
            REMOVE_CONTAINER,
            START_EXEC,
        ] {
            assert!(
                call.limit < Duration::from_secs(CLIENT_SECONDS),
                "{}",
                call.name
            );
        }
    }

    #[tokio::test]
    async fn a_silent_engine_is_a_timeout() {
        let call = Call {
            limit: Duration::from_millis(5),
            ..PING
        };
        assert!(call.run(pending::<Result<(), Error>>()).await.is_err());
        let silent = futures::stream::pending::<Result<(), Error>>();
        assert!(call.drain(silent).await.is_err());
    }
}
