//! Bringing a sandbox to RUNNING: start where it was stopped, resume where it was paused.

use std::time::Duration;

use sandgate_proto::{Problem, Reason, v1::SandboxState};

use tokio::time::timeout;

use super::{
    Sandboxes, TRIES, clocks, contended,
    context::Key,
    create::wait_time,
    flight::Flight,
    look::gone,
    rest::{Rest, Wish},
    spec, state, state_name,
};
use crate::{
    fleet::Answer,
    problem::{self, Result},
    session,
    store::{SandboxRecord, SessionRecord},
};

/// How long a provider may take to start a sandbox.
const PATIENCE: Duration = Duration::from_secs(900);

impl Sandboxes {
    /// Brings a sandbox to RUNNING; many may ask at once, the provider is asked once.
    pub(crate) async fn start(
        &self,
        session: &SessionRecord,
        mut sandbox: SandboxRecord,
    ) -> Result<SandboxRecord> {
        session::check_enabled(&session::describe(session)?, &sandbox.provider)?;
        for _ in 0..TRIES {
            sandbox = self.moved_elsewhere(sandbox).await?;
            match state(&sandbox) {
                SandboxState::Running => return Ok(sandbox),
                SandboxState::Creating => return self.creation(session, &sandbox).await,
                SandboxState::Stopped | SandboxState::Paused | SandboxState::Starting => {
                    sandbox = self.rise(session, &sandbox).await?;
                }
                SandboxState::Stopping | SandboxState::Pausing => {
                    sandbox = self.settled(session, &sandbox).await?;
                }
                other => return Err(problem::not_running(sandbox.sandbox_id, state_name(other))),
            }
        }
        Err(contended())
    }

    /// As [`Self::start`], for as long as the caller waits; the start goes on after that.
    pub(crate) async fn start_within(
        &self,
        session: &SessionRecord,
        sandbox: SandboxRecord,
        wait: Option<prost_types::Duration>,
    ) -> Result<SandboxRecord> {
        let Some(wait) = wait_time(wait)? else {
            return self.start(session, sandbox).await;
        };
        let sandbox_id = sandbox.sandbox_id;
        match timeout(wait, self.start(session, sandbox)).await {
            Ok(started) => started,
            Err(_) => self.reload(sandbox_id).await,
        }
    }

    /// As [`Self::start_within`], with another idle timeout from then on.
    pub(crate) async fn resume(
        &self,
        session: &SessionRecord,
        mut sandbox: SandboxRecord,
        wait: Option<prost_types::Duration>,
        idle_timeout: Option<prost_types::Duration>,
    ) -> Result<SandboxRecord> {
        spec::check_idle_timeout("idle_timeout", idle_timeout)?;
        if self.check_had(&sandbox.provider, "hibernate").is_err() {
            self.check_had(&sandbox.provider, "pause")?;
        }
        for _ in 0..TRIES {
            let Some(changes) = clocks::with_idle_timeout(&sandbox, idle_timeout) else {
                return self.start_within(session, sandbox, wait).await;
            };
            sandbox = match self.change(&sandbox, changes).await? {
                Some(changed) => changed,
                None => self.reload(sandbox.sandbox_id).await?,
            };
        }
        Err(contended())
    }

    /// The way up: joined if it is under way, begun if it is not.
    pub(super) fn rise(&self, session: &SessionRecord, sandbox: &SandboxRecord) -> Flight {
        let work = self.clone().carry_up(session.clone(), sandbox.clone());
        self.fly(sandbox.sandbox_id, work)
    }

    async fn carry_up(
        self,
        session: SessionRecord,
        sandbox: SandboxRecord,
    ) -> Result<SandboxRecord> {
        let mut changes = sandbox.unchanged();
        changes.state = SandboxState::Starting.into();
        let Some(starting) = self.change(&sandbox, changes).await? else {
            return self.reload(sandbox.sandbox_id).await;
        };
        let was = state(&sandbox);
        match self.ask_up(&session, &starting, was).await {
            Ok((answer, kept)) => {
                let mut changes = self.answered(&starting, &answer).await?;
                // What ran before is over, unless its memory was kept.
                changes.boots += i64::from(!kept);
                self.used_now(&starting).await?;
                match self.change(&starting, changes).await? {
                    Some(running) => Ok(running),
                    // Who asked looks again at what came in between.
                    None => self.reload(starting.sandbox_id).await,
                }
            }
            Err(problem) => self.step_back(&starting, resting(was), problem).await,
        }
    }

    /// Has the provider do it; whether its processes live on.
    async fn ask_up(
        &self,
        session: &SessionRecord,
        sandbox: &SandboxRecord,
        was: SandboxState,
    ) -> Result<(Answer, bool)> {
        let context = self.context(session, sandbox, Key::Current).await?;
        let lane = self.lane(sandbox)?;
        let paused = match was {
            // Cut off, so that only the provider knows.
            SandboxState::Starting => {
                let seen = self.seen_now(session, sandbox).await?;
                match seen.sandbox.state() {
                    SandboxState::Running => return Ok((seen, false)),
                    other => other == SandboxState::Paused,
                }
            }
            other => other == SandboxState::Paused,
        };
        let answer = if paused {
            lane.resume(&context, PATIENCE).await?
        } else {
            lane.start(&context, PATIENCE).await?
        };
        Ok((answer, paused))
    }

    /// The work that a sandbox on its way is in the middle of: joined if it is under way here, gone on
    /// with if whoever began it is gone.
    pub(super) fn onward(&self, session: &SessionRecord, sandbox: &SandboxRecord) -> Flight {
        match state(sandbox) {
            SandboxState::Creating => self.creation(session, sandbox),
            SandboxState::Starting => self.rise(session, sandbox),
            SandboxState::Stopping => self.rest(session, sandbox, Rest::Stop(None), Wish::Asked),
            SandboxState::Pausing => self.rest(session, sandbox, Rest::Pause(false), Wish::Asked),
            _ => self.deletion(session, sandbox),
        }
    }

    /// Waits for that to come to its end, whatever that is.
    pub(super) async fn settled(
        &self,
        session: &SessionRecord,
        sandbox: &SandboxRecord,
    ) -> Result<SandboxRecord> {
        let _ = self.onward(session, sandbox).await;
        self.reload(sandbox.sandbox_id).await
    }

    /// A change that the provider did not make: back to where it was, or FAILED if it is gone.
    pub(super) async fn step_back(
        &self,
        sandbox: &SandboxRecord,
        back: SandboxState,
        problem: Problem,
    ) -> Result<SandboxRecord> {
        let changed = if problem.reason() == Reason::SandboxNotFound {
            self.failed(sandbox, &gone(sandbox, self.clock.now()))
                .await?
        } else {
            let mut changes = sandbox.unchanged();
            changes.state = back.into();
            self.change(sandbox, changes).await?
        };
        if changed.is_none() {
            // A delete that came in between explains it better than the provider can.
            let now = self.reload(sandbox.sandbox_id).await?;
            if let SandboxState::Deleting | SandboxState::Deleted = state(&now) {
                return Err(problem::not_running(
                    now.sandbox_id,
                    state_name(state(&now)),
                ));
            }
        }
        Err(problem)
    }
}

/// Where a sandbox that could not be started is left.
fn resting(was: SandboxState) -> SandboxState {
    match was {
        SandboxState::Paused => SandboxState::Paused,
        _ => SandboxState::Stopped,
    }
}
