//! Looking, starting, stopping, deleting.

use std::time::Duration;

use sandgate_proto::{Problem, Reason, v1::SandboxState};

use super::{Sandboxes, context::Key, state, state_name};
use crate::{
    clock,
    fleet::Answer,
    problem::{self, Result},
    sealed::Sealed,
    session,
    store::{SandboxRecord, SessionRecord},
};

/// How long a provider may take to look.
const LOOK_PATIENCE: Duration = Duration::from_secs(10);
/// How long a provider may take to start a sandbox.
const START_PATIENCE: Duration = Duration::from_secs(900);
/// How long a provider may take to stop or delete a sandbox.
const END_PATIENCE: Duration = Duration::from_secs(120);
/// How often a change looks again because another change came first.
const TRIES: usize = 8;

impl Sandboxes {
    /// The live truth where the provider can be asked, and UNKNOWN with the last known facts where
    /// it cannot.
    pub(crate) async fn look(
        &self,
        session: &SessionRecord,
        sandbox: SandboxRecord,
    ) -> Result<SandboxRecord> {
        if !matches!(
            state(&sandbox),
            SandboxState::Running | SandboxState::Stopped | SandboxState::Paused
        ) {
            return Ok(sandbox);
        }
        match self.seen_now(session, &sandbox).await {
            Ok(answer) => {
                let changes = self.answered(&sandbox, &answer).await?;
                if changes == sandbox.unchanged() {
                    return Ok(sandbox);
                }
                let changed = self.change(&sandbox, &changes).await?;
                Ok(changed.unwrap_or(sandbox))
            }
            Err(problem) if problem.reason() == Reason::SandboxNotFound => {
                let failed = self.failed(&sandbox, &gone(&sandbox)).await?;
                Ok(failed.unwrap_or(sandbox))
            }
            Err(problem) => Ok(unknown(sandbox, &problem)),
        }
    }

    async fn seen_now(&self, session: &SessionRecord, sandbox: &SandboxRecord) -> Result<Answer> {
        let context = self.context(session, sandbox, Key::Current).await?;
        self.lane(sandbox)?.get(&context, LOOK_PATIENCE).await
    }

    /// Brings a sandbox to RUNNING; many may ask at once, the provider is asked once.
    pub(crate) async fn start(
        &self,
        session: &SessionRecord,
        mut sandbox: SandboxRecord,
    ) -> Result<SandboxRecord> {
        session::check_enabled(&session::describe(session)?, &sandbox.provider)?;
        for _ in 0..TRIES {
            match state(&sandbox) {
                SandboxState::Running => return Ok(sandbox),
                SandboxState::Creating => return self.creation(session, &sandbox).await,
                SandboxState::Stopped | SandboxState::Paused | SandboxState::Starting => {
                    let work = self.clone().carry_start(session.clone(), sandbox.clone());
                    sandbox = self.flights.join_or_start(sandbox.sandbox_id, work).await?;
                }
                SandboxState::Stopping => {
                    self.wait_or_mark(&mut sandbox, SandboxState::Stopped)
                        .await?
                }
                other => return Err(problem::not_running(sandbox.sandbox_id, state_name(other))),
            }
        }
        Err(contended())
    }

    /// Ends all processes of a sandbox and keeps its files.
    pub(crate) async fn stop(
        &self,
        session: &SessionRecord,
        mut sandbox: SandboxRecord,
        grace: Option<prost_types::Duration>,
    ) -> Result<SandboxRecord> {
        for _ in 0..TRIES {
            match state(&sandbox) {
                SandboxState::Stopped => return Ok(sandbox),
                SandboxState::Running | SandboxState::Paused | SandboxState::Stopping => {
                    let work = self
                        .clone()
                        .carry_stop(session.clone(), sandbox.clone(), grace);
                    sandbox = self.flights.join_or_start(sandbox.sandbox_id, work).await?;
                }
                SandboxState::Creating => sandbox = self.creation(session, &sandbox).await?,
                SandboxState::Starting => {
                    self.wait_or_mark(&mut sandbox, SandboxState::Stopped)
                        .await?
                }
                other => return Err(problem::not_running(sandbox.sandbox_id, state_name(other))),
            }
        }
        Err(contended())
    }

    /// Deletes a sandbox, whatever it is doing. Deleted ones stay deleted.
    pub(crate) async fn delete(
        &self,
        session: &SessionRecord,
        mut sandbox: SandboxRecord,
    ) -> Result<SandboxRecord> {
        for _ in 0..TRIES {
            match state(&sandbox) {
                SandboxState::Deleted => return Ok(sandbox),
                SandboxState::Deleting => {
                    // What is under way may be the create that this delete overtook.
                    if let Some(flight) = self.flights.current(sandbox.sandbox_id) {
                        let _ = flight.await;
                        sandbox = self.reload(sandbox.sandbox_id).await?;
                        if state(&sandbox) == SandboxState::Deleted {
                            return Ok(sandbox);
                        }
                    }
                    let work = self.clone().carry_delete(session.clone(), sandbox.clone());
                    sandbox = self.flights.join_or_start(sandbox.sandbox_id, work).await?;
                }
                _ => {
                    let mut changes = sandbox.unchanged();
                    changes.state = SandboxState::Deleting.into();
                    sandbox = match self.change(&sandbox, &changes).await? {
                        Some(deleting) => deleting,
                        None => self.reload(sandbox.sandbox_id).await?,
                    };
                }
            }
        }
        Err(contended())
    }

    async fn carry_start(
        self,
        session: SessionRecord,
        sandbox: SandboxRecord,
    ) -> Result<SandboxRecord> {
        let mut changes = sandbox.unchanged();
        changes.state = SandboxState::Starting.into();
        let Some(starting) = self.change(&sandbox, &changes).await? else {
            return self.reload(sandbox.sandbox_id).await;
        };
        let answer = async {
            let context = self.context(&session, &starting, Key::Current).await?;
            let lane = self.lane(&starting)?;
            lane.start(&context, START_PATIENCE).await
        };
        match answer.await {
            Ok(answer) => {
                let changes = self.answered(&starting, &answer).await?;
                let running = self.change(&starting, &changes).await?;
                running.map_or_else(|| Err(contended()), Ok)
            }
            Err(problem) => {
                self.step_back(&starting, SandboxState::Stopped, problem)
                    .await
            }
        }
    }

    async fn carry_stop(
        self,
        session: SessionRecord,
        sandbox: SandboxRecord,
        grace: Option<prost_types::Duration>,
    ) -> Result<SandboxRecord> {
        let mut changes = sandbox.unchanged();
        changes.state = SandboxState::Stopping.into();
        let Some(stopping) = self.change(&sandbox, &changes).await? else {
            return self.reload(sandbox.sandbox_id).await;
        };
        let answer = async {
            let context = self.context(&session, &stopping, Key::Either).await?;
            let lane = self.lane(&stopping)?;
            lane.stop(&context, grace, END_PATIENCE).await
        };
        match answer.await {
            Ok(answer) => {
                let changes = self.answered(&stopping, &answer).await?;
                let stopped = self.change(&stopping, &changes).await?;
                stopped.map_or_else(|| Err(contended()), Ok)
            }
            Err(problem) => {
                self.step_back(&stopping, SandboxState::Running, problem)
                    .await
            }
        }
    }

    async fn carry_delete(
        self,
        session: SessionRecord,
        sandbox: SandboxRecord,
    ) -> Result<SandboxRecord> {
        self.remove(&session, &sandbox, END_PATIENCE).await?;
        let mut changes = sandbox.unchanged();
        changes.state = SandboxState::Deleted.into();
        changes.delete_time = Some(clock::now());
        changes.provider_state = Some(Sealed::default());
        let deleted = match self.change(&sandbox, &changes).await? {
            Some(deleted) => deleted,
            None => self.reload(sandbox.sandbox_id).await?,
        };
        self.release_key(&sandbox).await;
        Ok(deleted)
    }

    /// Waits for the flight that moves the sandbox, or, if the gateway that flew it is gone, marks
    /// the state from which the work can be begun again.
    async fn wait_or_mark(&self, sandbox: &mut SandboxRecord, mark: SandboxState) -> Result<()> {
        if let Some(flight) = self.flights.current(sandbox.sandbox_id) {
            let _ = flight.await;
        } else {
            let mut changes = sandbox.unchanged();
            changes.state = mark.into();
            self.change(sandbox, &changes).await?;
        }
        *sandbox = self.reload(sandbox.sandbox_id).await?;
        Ok(())
    }

    /// A change that the provider did not make: back to where it was, or FAILED if it is gone.
    async fn step_back(
        &self,
        sandbox: &SandboxRecord,
        back: SandboxState,
        problem: Problem,
    ) -> Result<SandboxRecord> {
        if problem.reason() == Reason::SandboxNotFound {
            self.failed(sandbox, &gone(sandbox)).await?;
        } else {
            let mut changes = sandbox.unchanged();
            changes.state = back.into();
            self.change(sandbox, &changes).await?;
        }
        Err(problem)
    }

    async fn failed(
        &self,
        sandbox: &SandboxRecord,
        why: &Problem,
    ) -> Result<Option<SandboxRecord>> {
        let mut changes = sandbox.unchanged();
        changes.state = SandboxState::Failed.into();
        changes.reason_code = why.reason().name().to_owned();
        changes.reason_message = why.message().to_owned();
        self.change(sandbox, &changes).await
    }
}

fn gone(sandbox: &SandboxRecord) -> Problem {
    Problem::new(
        Reason::SandboxNotFound,
        "the sandbox was removed behind the gateway's back and its files are lost; delete it and make a new one",
    )
    .with("sandbox_id", sandbox.sandbox_id)
}

fn unknown(mut sandbox: SandboxRecord, why: &Problem) -> SandboxRecord {
    sandbox.state = SandboxState::Unknown.into();
    why.reason().name().clone_into(&mut sandbox.reason_code);
    why.message().clone_into(&mut sandbox.reason_message);
    sandbox
}

fn contended() -> Problem {
    Problem::new(
        Reason::EtagMismatch,
        "other calls keep changing this sandbox; look at it with GetSandbox and try again",
    )
}
