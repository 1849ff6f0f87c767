//! The processes that run, and those that ended a moment ago.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use connectrpc::ConnectError;
use sandgate_e2b_envd::process::{ProcessConfig, ProcessSelector, process_selector::Selector};
use tokio::{io::AsyncWriteExt as _, process::ChildStdin};

use super::{outlet::Outlet, terminal::Terminal};
use crate::locks::lock;

/// A process.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) pid: u32,
    pub(super) config: ProcessConfig,
    pub(super) tag: Option<String>,
    pub(super) outlet: Outlet,
    pub(super) stdin: tokio::sync::Mutex<Option<ChildStdin>>,
    pub(super) terminal: Option<Arc<Terminal>>,
}

impl Running {
    /// Writes to its standard input.
    ///
    /// # Errors
    /// Where it has none, or does not take it.
    pub(super) async fn stdin(&self, bytes: &[u8]) -> Result<(), ConnectError> {
        if self.terminal.is_some() {
            return Err(ConnectError::internal(
                "error writing to stdin: tty assigned to process — input should be written to the pty, not the stdin",
            ));
        }
        let mut stdin = self.stdin.lock().await;
        let closed =
            || ConnectError::internal("error writing to stdin: stdin not enabled or closed");
        let stdin = stdin.as_mut().ok_or_else(closed)?;
        let failed = |error| ConnectError::internal(format!("error writing to stdin: {error}"));
        stdin.write_all(bytes).await.map_err(failed)?;
        stdin.flush().await.map_err(failed)
    }

    /// Types at its terminal.
    ///
    /// # Errors
    /// Where it has none, or is gone.
    pub(super) async fn keys(&self, bytes: &[u8]) -> Result<(), ConnectError> {
        let failed = |error| ConnectError::internal(format!("error writing to tty: {error}"));
        self.terminal()?.write(bytes).await.map_err(failed)
    }

    /// Sets the size of its terminal: columns and rows.
    ///
    /// # Errors
    /// Where it has none.
    pub(super) fn resize(&self, size: (u16, u16)) -> Result<(), ConnectError> {
        let failed = |error| ConnectError::internal(format!("error resizing tty: {error}"));
        self.terminal()?.resize(size).map_err(failed)
    }

    /// Ends its standard input.
    ///
    /// # Errors
    /// Where that is a terminal.
    pub(super) async fn close_stdin(&self) -> Result<(), ConnectError> {
        if self.terminal.is_some() {
            let said = "cannot close stdin of a process with a tty";
            return Err(ConnectError::internal(said));
        }
        drop(self.stdin.lock().await.take());
        Ok(())
    }

    fn terminal(&self) -> Result<&Terminal, ConnectError> {
        let none = || ConnectError::internal("tty not assigned to process");
        self.terminal.as_deref().ok_or_else(none)
    }
}

/// All of them, by number. A number that is used again takes the place.
#[derive(Debug, Default)]
pub(super) struct Table(Mutex<BTreeMap<u32, Arc<Running>>>);

impl Table {
    pub(super) fn add(&self, running: &Arc<Running>) {
        lock(&self.0).insert(running.pid, Arc::clone(running));
    }

    /// Forgets one, unless its number is another's by now.
    pub(super) fn forget(&self, running: &Arc<Running>) {
        let mut all = lock(&self.0);
        if all
            .get(&running.pid)
            .is_some_and(|other| Arc::ptr_eq(other, running))
        {
            all.remove(&running.pid);
        }
    }

    /// Those that run.
    pub(super) fn running(&self) -> Vec<Arc<Running>> {
        let all = lock(&self.0);
        let runs = all.values().filter(|running| !running.outlet.ended());
        runs.cloned().collect()
    }

    /// The one that is meant; `running`: it has not ended.
    ///
    /// # Errors
    /// Not found.
    pub(super) fn find(
        &self,
        selector: Option<&ProcessSelector>,
        running: bool,
    ) -> Result<Arc<Running>, ConnectError> {
        let all = lock(&self.0);
        let fits = |one: &&Arc<Running>| !running || !one.outlet.ended();
        let (found, said) = match selector.and_then(|selector| selector.selector.as_ref()) {
            Some(Selector::Pid(pid)) => (
                all.get(pid).filter(fits),
                format!("process with pid {pid} not found"),
            ),
            Some(Selector::Tag(tag)) => (
                all.values()
                    .filter(fits)
                    .find(|one| one.tag.as_ref() == Some(tag)),
                format!("process with tag {tag} not found"),
            ),
            None => {
                let said = "invalid process selector";
                return Err(ConnectError::unimplemented(said));
            }
        };
        found.cloned().ok_or_else(|| ConnectError::not_found(said))
    }
}
