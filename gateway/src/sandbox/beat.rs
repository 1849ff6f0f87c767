//! What the lease task does with a sandbox whose look is due: asks what it does, saves what has
//! ended, and acts on clocks that have run down. Nothing that runs is stopped without being asked.

use sandgate_proto::{
    Problem, Reason,
    v1::{LeaseExpiring, OnIdle, SandboxState, session_event::Event},
};
use uuid::Uuid;

use super::{
    Clocks, Sandboxes,
    clocks::{self, Which},
    context::Key,
    is_on_its_way,
    look::gone,
    rest::{Rest, Wish},
    state, was_never_made,
};
use crate::{
    clock::{span, timestamp},
    problem::Result,
    store::{Looked, NewEvent, SandboxRecord, SessionRecord},
    watch,
};

/// Before a sandbox is looked at again whose session is being taken down.
const LATER: i64 = 60_000;

impl Sandboxes {
    /// Sandboxes whose look is due at this time, claimed for a while.
    pub(crate) async fn due_at(&self, now: i64, limit: u32) -> Result<Vec<SandboxRecord>> {
        let until = now + span(self.pace.claim);
        let due = self.store.claim_due(now, until, limit).await;
        due.map_err(Into::into)
    }

    /// Whether a claim still holds: it is over when others may claim the sandbox, and where the clock
    /// jumped since it was made.
    fn holds(&self, claim: i64) -> bool {
        let now = self.clock.now();
        now < claim && claim <= now + span(self.pace.claim)
    }

    /// Keeps the sandboxes that this gateway works on.
    pub(crate) async fn hold_flights(&self) -> Result<()> {
        let flying = self.flights.keys();
        if flying.is_empty() {
            return Ok(());
        }
        let until = self.clock.now() + span(self.pace.takeover);
        self.store.hold(&flying, until).await.map_err(Into::into)
    }

    /// Looks at a claimed sandbox; what was found, unless its state was changed: then that is
    /// written already.
    pub(crate) async fn tend(&self, sandbox: SandboxRecord) -> Result<Option<Looked>> {
        let Some(claim) = sandbox.due_time.filter(|claim| self.holds(*claim)) else {
            return Ok(None);
        };
        let Some(session) = self.store.session(sandbox.session_id).await? else {
            // What is left of a deleted session is removed by who deletes that.
            return Ok(Some(looked(&sandbox, claim, self.clock.now() + LATER)));
        };
        if is_stuck(&sandbox, self.clock.now()) {
            drop(self.begin_delete(&session, sandbox).await?);
            return Ok(None);
        }
        if is_on_its_way(state(&sandbox)) {
            self.take_over(&session, &sandbox);
            return Ok(None);
        }
        if was_never_made(&sandbox) {
            self.take_back_again(&session, &sandbox);
            return Ok(None);
        }
        match state(&sandbox) {
            SandboxState::Running => self.beat(&session, sandbox, claim).await,
            _ => self.act(&session, sandbox, claim).await,
        }
    }

    /// Finishes what a gateway began that holds it no more.
    fn take_over(&self, session: &SessionRecord, sandbox: &SandboxRecord) {
        let sandbox_id = sandbox.sandbox_id;
        if self.flights.current(&sandbox_id).is_none() {
            tracing::info!(%sandbox_id, state = super::state_name(state(sandbox)), "finishing what was cut off");
        }
        // Nobody waits for it: a flight goes on by itself.
        drop(self.onward(session, sandbox));
    }

    async fn beat(
        &self,
        session: &SessionRecord,
        sandbox: SandboxRecord,
        claim: i64,
    ) -> Result<Option<Looked>> {
        let asked = self.save_all(session, &sandbox, None, Key::Either).await;
        let mut row = match asked {
            Ok(news) => {
                let mut row = news.sandbox;
                row.running = i64::from(news.running);
                row.tries = 0;
                let inside = news.last_activity.unwrap_or_default();
                row.activity_time = row.activity_time.max(inside);
                row
            }
            Err(problem) if problem.reason() == Reason::SandboxNotFound => {
                self.failed(&sandbox, &gone(&sandbox, self.clock.now()))
                    .await?;
                return Ok(None);
            }
            Err(problem) => return self.unanswered(session, sandbox, claim, &problem).await,
        };
        if state(&row) != SandboxState::Running {
            return Ok(None);
        }
        if !self.holds(claim) {
            return Ok(None);
        }
        // A state that the provider gave anew has moved the claim.
        let claim = row.due_time.unwrap_or(claim);
        let now = self.clock.now();
        if row.running > 0 {
            row.activity_time = now;
        }
        let used = self.touches.last(row.sandbox_id).unwrap_or_default();
        row.activity_time = row.activity_time.max(used).min(now);
        self.act(session, row, claim).await
    }

    /// The sandbox could not be asked: nothing is done with it but what its age alone says.
    async fn unanswered(
        &self,
        session: &SessionRecord,
        sandbox: SandboxRecord,
        claim: i64,
        problem: &Problem,
    ) -> Result<Option<Looked>> {
        tracing::debug!(sandbox_id = %sandbox.sandbox_id, %problem, "a sandbox cannot be asked what it does");
        let now = self.clock.now();
        let clocks = Clocks::of(&sandbox);
        if clocks.run_down(now) == Some(Which::MaxLifetime) {
            return self.act(session, sandbox, claim).await;
        }
        let next = now + self.pace.retry(sandbox.tries);
        let too_old = clocks.deadline(Which::MaxLifetime).unwrap_or(next);
        let mut look = looked(&sandbox, claim, next.min(too_old));
        look.tries += 1;
        Ok(Some(look))
    }

    /// Warns of clocks that are about to run down, and acts on one that has.
    async fn act(
        &self,
        session: &SessionRecord,
        sandbox: SandboxRecord,
        claim: i64,
    ) -> Result<Option<Looked>> {
        let now = self.clock.now();
        let clocks = Clocks::of(&sandbox);
        self.warn(&sandbox, &clocks, now).await?;
        let Some(which) = clocks.run_down(now) else {
            let mut look = looked(&sandbox, claim, now);
            look.due_time = clocks.next_look(now);
            return Ok(Some(look));
        };
        let sandbox_id = sandbox.sandbox_id;
        tracing::info!(%sandbox_id, clock = which.name(), "the clock of a sandbox has run down");
        if state(&sandbox) == SandboxState::Running && which != Which::MaxLifetime {
            let rest = match which {
                Which::Idle => self.on_idle(&sandbox),
                _ => Rest::Delete,
            };
            let wish = Wish::IdleSince(sandbox.activity_time);
            drop(self.rest(session, &sandbox, rest, wish));
        } else {
            drop(self.begin_delete(session, sandbox).await?);
        }
        Ok(None)
    }

    /// What happens to an idle sandbox.
    fn on_idle(&self, sandbox: &SandboxRecord) -> Rest {
        let asked = clocks::lifecycle(sandbox).on_idle();
        let has = |feature| self.check_had(&sandbox.provider, feature).is_ok();
        match asked {
            OnIdle::Stop => Rest::Stop(None),
            OnIdle::Pause => Rest::Pause(false),
            OnIdle::Hibernate => Rest::Pause(true),
            OnIdle::Delete => Rest::Delete,
            OnIdle::Unspecified if has("pause") => Rest::Pause(false),
            OnIdle::Unspecified if has("hibernate") => Rest::Pause(true),
            OnIdle::Unspecified if has("stop") => Rest::Stop(None),
            OnIdle::Unspecified => Rest::Delete,
        }
    }

    /// What a clock wanted in vain is tried again after as long as it is late by now.
    pub(super) async fn try_later(&self, sandbox: &SandboxRecord, wish: Wish) -> Result<()> {
        if wish == Wish::Asked {
            return Ok(());
        }
        let (now, clocks) = (self.clock.now(), Clocks::of(sandbox));
        let due = [Which::Idle, Which::Lease].map(|which| clocks.deadline(which));
        let late = due.into_iter().flatten().min().map_or(0, |due| now - due);
        let next = now + late.clamp(self.pace.retry(0), self.pace.retry(i64::MAX));
        self.store.postpone(sandbox.sandbox_id, next).await?;
        Ok(())
    }

    async fn warn(&self, sandbox: &SandboxRecord, clocks: &Clocks, now: i64) -> Result<()> {
        let (session_id, sandbox_id) = (sandbox.session_id, sandbox.sandbox_id);
        let near = clocks.near(now);
        let events: Vec<_> = near
            .map(|deadline| warning(session_id, sandbox_id, deadline.which, deadline.time))
            .collect();
        if events.is_empty() {
            return Ok(());
        }
        self.store.append_events(&events).await?;
        Ok(())
    }
}

/// On its way to rest for so long, in vain, that it goes.
fn is_stuck(sandbox: &SandboxRecord, now: i64) -> bool {
    let resting = [SandboxState::Stopping, SandboxState::Pausing];
    resting.contains(&state(sandbox)) && Clocks::of(sandbox).run_down(now).is_some()
}

/// That a clock is about to run down, told once for each deadline.
fn warning(session_id: Uuid, sandbox_id: Uuid, which: Which, time: i64) -> NewEvent {
    let event = Event::LeaseExpiring(LeaseExpiring {
        sandbox_id: sandbox_id.to_string(),
        expire_time: Some(timestamp(time)),
        clock: which.name().to_owned(),
    });
    NewEvent {
        once: Some(format!("clock/{sandbox_id}/{}/{time}", which.name())),
        ..watch::new_event(session_id, Some(sandbox_id), event)
    }
}

fn looked(sandbox: &SandboxRecord, claim: i64, due: i64) -> Looked {
    Looked {
        sandbox_id: sandbox.sandbox_id,
        claim,
        activity_time: sandbox.activity_time,
        running: sandbox.running,
        provider_expire_time: sandbox.provider_expire_time,
        ended_cursor: sandbox.ended_cursor.clone(),
        due_time: Some(due),
        tries: sandbox.tries,
    }
}
