//! Bringing a sandbox to rest: stop, where its disk stays, and pause, where its memory stays too; or
//! to its end, if nobody uses it.

use std::time::Duration;

use sandgate_proto::{
    Problem, Reason,
    v1::{EndExecutions, SandboxState},
};

use super::{
    Sandboxes, TRIES, contended, context::Key, creation::never_asked, flight::Flight, state,
    state_name,
};
use crate::{
    problem::{self, Result},
    step,
    store::{SandboxRecord, SessionRecord},
};

/// How long a provider may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// Time between TERM and KILL where nobody says.
const GRACE: Duration = Duration::from_secs(10);

/// How a sandbox is brought to rest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Rest {
    /// Its processes end, with this time between TERM and KILL.
    Stop(Option<prost_types::Duration>),
    /// Its memory stays; true: on disk.
    Pause(bool),
    /// Nothing stays.
    Delete,
}

/// Who wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// A caller: what runs is ended.
    Asked,
    /// Its clock: only if nothing has happened in it since this time.
    IdleSince(i64),
}

/// What came of saving ahead.
enum Ahead {
    /// It is in use, or nobody could look into it, and so nothing is done with it.
    Used,
    /// The provider was lost, so that nothing can be done now.
    Lost(Problem),
    /// It may be brought to rest; `closed`: nothing runs in it, and nothing can begin to.
    Ready { closed: bool },
}

impl Rest {
    fn way(self) -> SandboxState {
        match self {
            Self::Stop(_) | Self::Delete => SandboxState::Stopping,
            Self::Pause(_) => SandboxState::Pausing,
        }
    }
}

impl Sandboxes {
    /// Ends all processes of a sandbox and keeps its files.
    pub(crate) async fn stop(
        &self,
        session: &SessionRecord,
        mut sandbox: SandboxRecord,
        grace: Option<prost_types::Duration>,
    ) -> Result<SandboxRecord> {
        for _ in 0..TRIES {
            sandbox = self.moved_elsewhere(sandbox).await?;
            match state(&sandbox) {
                SandboxState::Stopped => return Ok(sandbox),
                SandboxState::Creating => sandbox = self.creation(session, &sandbox).await?,
                // What is on its way up or to a pause here comes there first; what another gateway
                // was at is overtaken.
                SandboxState::Starting | SandboxState::Pausing
                    if self.flights.current(&sandbox.sandbox_id).is_some() =>
                {
                    sandbox = self.settled(session, &sandbox).await?;
                }
                SandboxState::Running
                | SandboxState::Paused
                | SandboxState::Starting
                | SandboxState::Pausing
                | SandboxState::Stopping => {
                    let rest = Rest::Stop(grace);
                    sandbox = self.rest(session, &sandbox, rest, Wish::Asked).await?;
                }
                other => return Err(problem::not_running(sandbox.sandbox_id, state_name(other))),
            }
        }
        Err(contended())
    }

    /// Freezes a sandbox with its memory.
    pub(crate) async fn pause(
        &self,
        session: &SessionRecord,
        mut sandbox: SandboxRecord,
        hibernate: bool,
    ) -> Result<SandboxRecord> {
        let feature = if hibernate { "hibernate" } else { "pause" };
        self.check_had(&sandbox.provider, feature)?;
        for _ in 0..TRIES {
            sandbox = self.moved_elsewhere(sandbox).await?;
            match state(&sandbox) {
                SandboxState::Paused => return Ok(sandbox),
                SandboxState::Running | SandboxState::Pausing => {
                    let rest = Rest::Pause(hibernate);
                    sandbox = self.rest(session, &sandbox, rest, Wish::Asked).await?;
                }
                SandboxState::Creating | SandboxState::Starting | SandboxState::Stopping => {
                    sandbox = self.settled(session, &sandbox).await?;
                }
                other => return Err(problem::not_running(sandbox.sandbox_id, state_name(other))),
            }
        }
        Err(contended())
    }

    /// The way to rest: joined if it is under way, begun if it is not.
    pub(super) fn rest(
        &self,
        session: &SessionRecord,
        sandbox: &SandboxRecord,
        rest: Rest,
        wish: Wish,
    ) -> Flight {
        let (session, row) = (session.clone(), sandbox.clone());
        let work = self.clone().carry_down(session, row, rest, wish);
        self.fly(sandbox.sandbox_id, work)
    }

    async fn carry_down(
        self,
        session: SessionRecord,
        sandbox: SandboxRecord,
        rest: Rest,
        wish: Wish,
    ) -> Result<SandboxRecord> {
        let mut changes = sandbox.unchanged();
        changes.state = rest.way().into();
        let Some(resting) = self.change(&sandbox, changes).await? else {
            return self.reload(sandbox.sandbox_id).await;
        };
        step::reached("gateway.stop.marked")?;
        // A paused one that is to be stopped has nothing that could end.
        let awake = state(&sandbox) != SandboxState::Paused;
        let closed = if awake {
            match self.save_ahead(&session, &resting, rest, wish).await {
                Ahead::Used => return self.stay_up(&sandbox, &resting, wish).await,
                Ahead::Lost(problem) => {
                    // What a stop asked for cannot be taken back, now or when it was begun.
                    let is_first = state(&sandbox) == SandboxState::Running;
                    let asks_nothing = matches!(rest, Rest::Pause(_));
                    return if asks_nothing || is_first && never_asked(&problem) {
                        let running = SandboxState::Running;
                        self.step_back(&resting, running, problem).await
                    } else {
                        self.go_on_later(&resting, problem).await
                    };
                }
                Ahead::Ready { closed } => closed,
            }
        } else {
            false
        };
        step::reached("gateway.stop.closed")?;
        let stops = closed || state(&sandbox) == SandboxState::Stopping;
        match self.put_down(&session, &resting, rest).await {
            Ok(resting) => Ok(resting),
            // Going, or taken over by another change: whoever has it now tries again.
            Err(problem) if rest == Rest::Delete => Err(problem),
            Err(problem) if stops && problem.reason() != Reason::SandboxNotFound => {
                self.go_on_later(&resting, problem).await
            }
            Err(problem) => {
                let running = SandboxState::Running;
                let back = if awake { running } else { SandboxState::Paused };
                let failed = self.step_back(&resting, back, problem).await;
                self.try_later(&sandbox, wish).await?;
                failed
            }
        }
    }

    /// It may start nothing more, for all that is known, and must not be said to run: the lease task
    /// goes on with stopping it.
    async fn go_on_later(
        &self,
        resting: &SandboxRecord,
        problem: Problem,
    ) -> Result<SandboxRecord> {
        self.try_again(resting).await?;
        Err(problem)
    }

    /// Somebody came to use it.
    async fn stay_up(
        &self,
        sandbox: &SandboxRecord,
        resting: &SandboxRecord,
        wish: Wish,
    ) -> Result<SandboxRecord> {
        let mut changes = resting.unchanged();
        changes.state = SandboxState::Running.into();
        let running = self.change(resting, changes).await?;
        self.try_later(sandbox, wish).await?;
        match running {
            Some(running) => Ok(running),
            None => self.reload(resting.sandbox_id).await,
        }
    }

    /// Has the provider do it.
    async fn put_down(
        &self,
        session: &SessionRecord,
        sandbox: &SandboxRecord,
        rest: Rest,
    ) -> Result<SandboxRecord> {
        let context = self.context(session, sandbox, Key::Either).await?;
        let lane = self.lane(sandbox)?;
        let answer = match rest {
            Rest::Stop(grace) => lane.stop(&context, grace, PATIENCE).await?,
            Rest::Pause(hibernate) => lane.pause(&context, hibernate, PATIENCE).await?,
            Rest::Delete => {
                let mut changes = sandbox.unchanged();
                changes.state = SandboxState::Deleting.into();
                let deleting = self.change(sandbox, changes).await?;
                let deleting = deleting.ok_or_else(contended)?;
                return self.clone().carry_away(session.clone(), deleting).await;
            }
        };
        step::reached("gateway.stop.stopped")?;
        let changes = self.answered(sandbox, &answer).await?;
        match self.change(sandbox, changes).await? {
            Some(resting) => Ok(resting),
            // Who asked looks again at what came in between.
            None => self.reload(sandbox.sandbox_id).await,
        }
    }

    /// Saves what has ended, and before a stop ends what runs.
    async fn save_ahead(
        &self,
        session: &SessionRecord,
        sandbox: &SandboxRecord,
        rest: Rest,
        wish: Wish,
    ) -> Ahead {
        let idle_for = match wish {
            Wish::Asked => None,
            Wish::IdleSince(since) => Some((self.clock.now() - since).max(0) / 2),
        };
        let grace = match rest {
            Rest::Stop(grace) => grace,
            Rest::Pause(_) | Rest::Delete => None,
        };
        let end = match rest {
            Rest::Pause(_) => None,
            Rest::Stop(_) | Rest::Delete => Some(EndExecutions {
                grace_timeout: Some(grace.unwrap_or(prost_types::Duration {
                    seconds: GRACE.as_secs().cast_signed(),
                    nanos: 0,
                })),
                by: "SANDBOX_STOPPED".to_owned(),
                only_if_idle_for: idle_for.map(super::closing::length),
            }),
        };
        let saved = self.save_last(session, sandbox, end, Key::Either).await;
        let news = match saved {
            Err(problem) if wish == Wish::Asked => return Ahead::Lost(problem),
            Err(_) => return Ahead::Used,
            Ok(Ok(news)) => news,
            // Whoever asked for a stop gets it, also where the runner does not answer; a clock
            // never stops what nobody could look into.
            Ok(Err(problem)) => {
                tracing::warn!(sandbox_id = %sandbox.sandbox_id, %problem, "what ran could not be saved ahead of a stop");
                return match wish {
                    Wish::Asked => Ahead::Ready { closed: false },
                    Wish::IdleSince(_) => Ahead::Used,
                };
            }
        };
        let closed = news.closed;
        if let Wish::IdleSince(since) = wish {
            let used = self.touches.last(sandbox.sandbox_id).unwrap_or_default();
            let last = news.last_activity.unwrap_or_default().max(used);
            if !closed && (news.running > 0 || last > since) {
                return Ahead::Used;
            }
        }
        Ahead::Ready { closed }
    }
}
