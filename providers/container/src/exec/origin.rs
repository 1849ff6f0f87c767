//! Where a command runs: what the engine knows of it, and of the container around it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bollard::Docker;
use sandgate_kit::Outcome;
use tokio::time::sleep;

use super::{failure, kill};
use crate::{call, find};

/// Exit code of a process that KILL ended.
const KILLED: i64 = 137;
/// Between two looks at a command that is starting, or has closed its output but not ended.
const LOOK: Duration = Duration::from_millis(50);
/// Between two looks at an engine that does not answer.
const RETRY: Duration = Duration::from_secs(1);
/// How long after a KILL from nowhere the engine may take to say that the container has ended.
const SETTLE: Duration = Duration::from_millis(300);

/// A command in the engine's eyes, and how it is found again.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) docker: Docker,
    pub(super) container_id: String,
    /// Tells one life of the container from the next.
    pub(super) container_started: Option<String>,
    pub(super) exec_id: String,
    pub(super) user: String,
    pub(super) tag: kill::Tag,
    pub(super) told_to_end: AtomicBool,
}

/// What the engine says of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Starting,
    Running,
    NeverRan,
    Ended(Option<i64>),
    Forgotten,
    NoAnswer,
}

impl Origin {
    /// Whether the process has started, or will never; asked once there is output.
    pub(super) async fn started(self: Arc<Self>) -> bool {
        loop {
            match self.look().await {
                Look::Starting => sleep(LOOK).await,
                Look::NeverRan => return false,
                // Whatever else there is to know is asked again at the end.
                Look::Running | Look::Ended(_) | Look::Forgotten | Look::NoAnswer => return true,
            }
        }
    }

    /// How it ended, once that can be known.
    pub(super) async fn ended(self: Arc<Self>) -> Outcome {
        let outcome = loop {
            if let Some(outcome) = self.outcome().await {
                break outcome;
            }
        };
        if self.told_to_end.load(Ordering::Relaxed) {
            // The first process heeded TERM; what it left behind may not have.
            self.kill(true).await;
        }
        outcome
    }

    /// Sends TERM, or with `force` KILL, to the command and all that it started.
    pub(super) async fn kill(&self, force: bool) {
        self.told_to_end.store(true, Ordering::Relaxed);
        let sent = kill::send(
            &self.docker,
            &self.container_id,
            &self.user,
            &self.tag,
            force,
        );
        if let Err(fault) = sent.await {
            // A container that has ended has no processes left to tell.
            tracing::debug!(%fault, exec_id = self.exec_id, "a command could not be told to end");
        }
    }

    async fn look(&self) -> Look {
        match call::INSPECT
            .run(self.docker.inspect_exec(&self.exec_id))
            .await
        {
            Ok(exec) => look(exec.running, exec.pid, exec.exit_code),
            // 409, «container … is not running», comes in place of an answer.
            Err(fault) if matches!(fault.status(), Some(404 | 409)) => Look::Forgotten,
            Err(_) => Look::NoAnswer,
        }
    }

    async fn outcome(&self) -> Option<Outcome> {
        match self.look().await {
            Look::Starting | Look::Running => {
                sleep(LOOK).await;
                None
            }
            Look::NoAnswer => {
                sleep(RETRY).await;
                None
            }
            Look::NeverRan => Some(failure::never_ran(b"")),
            // A signal cannot be told from an exit: the engine gives one number for both.
            Look::Ended(Some(code)) if code != KILLED => Some(exited(code)),
            Look::Ended(code) => self.killed_or_lost(code).await,
            Look::Forgotten => self.killed_or_lost(None).await,
        }
    }

    /// KILL comes from inside, from us, or from the end of the whole container, whose exit codes
    /// say nothing about the command. Nothing where the engine does not answer.
    async fn killed_or_lost(&self, code: Option<i64>) -> Option<Outcome> {
        let mut alive = self.container_lives().await;
        if alive == Some(true) && !self.told_to_end.load(Ordering::Relaxed) {
            sleep(SETTLE).await;
            alive = self.container_lives().await;
        }
        match (alive, code) {
            (Some(true), Some(code)) => Some(exited(code)),
            (Some(true), None) => Some(Outcome::Lost {
                reason: "UPSTREAM_LOST",
            }),
            (Some(false), _) => Some(Outcome::Lost {
                reason: "SANDBOX_GONE",
            }),
            (None, _) => {
                sleep(RETRY).await;
                None
            }
        }
    }

    /// Whether the container still lives the life that the command was started in.
    async fn container_lives(&self) -> Option<bool> {
        let found = find::inspect(&self.docker, &self.container_id).await.ok()?;
        let state = found.and_then(|container| container.state);
        Some(state.is_some_and(|state| {
            state.running == Some(true) && state.started_at == self.container_started
        }))
    }
}

/// The engine knows a process id from the moment that the process runs, and for good.
fn look(running: Option<bool>, pid: Option<i64>, exit_code: Option<i64>) -> Look {
    let ran = pid.is_some_and(|pid| pid != 0);
    match (running.unwrap_or_default(), ran) {
        (true, false) => Look::Starting,
        (true, true) => Look::Running,
        (false, false) => Look::NeverRan,
        (false, true) => Look::Ended(exit_code),
    }
}

fn exited(code: i64) -> Outcome {
    Outcome::Exited(i32::try_from(code).unwrap_or(-1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_id_tells_whether_it_ran() {
        assert_eq!(look(Some(true), Some(0), None), Look::Starting);
        assert_eq!(look(Some(true), Some(7), None), Look::Running);
        assert_eq!(look(Some(false), Some(0), Some(126)), Look::NeverRan);
        assert_eq!(
            look(Some(false), Some(7), Some(126)),
            Look::Ended(Some(126))
        );
    }
}
