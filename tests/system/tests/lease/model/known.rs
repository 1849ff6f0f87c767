//! What is known of one sandbox, and the rules: what may have become of it, and what must have.

use std::ops::RangeInclusive;

use sandgate_proto::v1::{
    Lifecycle, OnIdle,
    SandboxState::{
        self, Deleted, Deleting, Failed, Paused, Pausing, Running, Starting, Stopped, Stopping,
    },
};

use crate::stand::Row;

/// What the clock of the test and the gateway's may differ by, and what a look may be late.
const LATE: i64 = 3_000;
/// Longest time between two tries of what failed.
const LONGEST_REST: i64 = 605_000;

/// One sandbox. Times may be known only to lie between two.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) id: String,
    pub(super) life: Lifecycle,
    pub(super) state: SandboxState,
    version: i64,
    seen: i64,
    made: i64,
    used: RangeInclusive<i64>,
    rested: RangeInclusive<i64>,
    /// A command runs in it.
    pub(super) busy: bool,
    lost: Option<i64>,
    /// What was asked for and may come later, or not.
    asked: Vec<SandboxState>,
}

fn millis(time: Option<prost_types::Duration>) -> Option<i64> {
    time.map(|time| time.seconds * 1000)
        .filter(|time| *time > 0)
}

impl Known {
    pub(super) fn new(id: String, life: Lifecycle, version: i64, now: i64) -> Self {
        Self {
            id,
            life,
            state: Running,
            version,
            seen: now,
            made: now,
            used: now..=now,
            rested: now..=now,
            busy: false,
            lost: None,
            asked: Vec::new(),
        }
    }

    /// It was used for sure, or somebody tried to.
    pub(super) fn use_it(&mut self, done: bool, now: i64) {
        let first = if done { now } else { *self.used.start() };
        self.used = first..=now;
        if matches!(self.state, Stopped | Paused | Stopping | Pausing) {
            let first = if done { now } else { *self.rested.start() };
            self.rested = first..=now;
        }
    }

    /// Somebody started or resumed it, for sure or in vain; of one that runs already that is no use.
    pub(super) fn rise(&mut self, done: bool, now: i64) {
        self.ask(Running);
        if self.state != Running {
            self.use_it(done, now);
        }
    }

    /// Its work has ended; the gateway may know only when it last looked and had an answer.
    pub(super) fn finish(&mut self, now: i64) {
        self.busy = false;
        self.used = *self.used.start() - self.beat()..=now;
    }

    pub(super) fn lose(&mut self, now: i64) {
        self.lost.get_or_insert(now);
        self.busy = false;
    }

    pub(super) fn is_lost(&self) -> bool {
        self.lost.is_some()
    }

    /// Somebody asked for this state.
    pub(super) fn ask(&mut self, state: SandboxState) {
        self.asked.push(state);
    }

    /// What was asked for has come, or will not.
    pub(super) fn answered(&mut self) {
        self.asked.clear();
    }

    fn beat(&self) -> i64 {
        let clocks = [self.life.idle_timeout, self.life.lease_ttl];
        let shortest = clocks.into_iter().filter_map(millis).min();
        shortest.map_or(300_000, |time| (time / 3).min(300_000))
    }

    /// Looks at it, and judges.
    pub(super) fn see(&mut self, row: &Row, now: i64, up_since: Option<i64>) {
        let new = row.state();
        if self.busy && self.state == Running {
            let answers = up_since.is_some_and(|since| since <= now);
            self.used = if answers { now } else { *self.used.start() }..=now;
        }
        assert!(
            row.version != self.version || new == self.state,
            "another state with the same etag: {self:?} {new:?}"
        );
        if new != self.state {
            assert!(self.may_become(new, now), "{new:?} at {now}: {self:?}");
            if matches!(new, Stopped | Paused | Stopping | Pausing | Failed) {
                self.rested = self.seen..=now;
            }
            if !matches!(new, Running | Pausing | Paused) {
                self.busy = false;
            }
            self.state = new;
        }
        self.version = row.version;
        self.seen = now;
        if let Some(up_since) = up_since {
            let due = self.must_be_over();
            let late = due.is_some_and(|due| now > due.max(up_since) + LATE);
            assert!(!late, "should be over since {due:?}, at {now}: {self:?}");
        }
    }

    fn may_become(&self, new: SandboxState, now: i64) -> bool {
        let over = |begin: i64, length: Option<prost_types::Duration>| {
            millis(length).is_some_and(|length| now + LATE >= begin + length)
        };
        let (used, rested) = (*self.used.start(), *self.rested.start());
        let idle = !self.busy && over(used, self.life.idle_timeout);
        let abandoned = !self.busy && over(used, self.life.lease_ttl);
        // It may have become FAILED right after it was last seen.
        let lost = self.lost.is_some() && over(self.seen, self.life.lease_ttl);
        let on_idle = self.life.on_idle();
        let asked = |state| self.asked.contains(&state);
        if over(self.made, self.life.max_lifetime) && matches!(new, Deleting | Deleted) {
            return true;
        }
        match (self.state, new) {
            (_, Failed) => self.lost.is_some(),
            (Deleted, _) => false,
            (Deleting, Deleted) => true,
            (Running, Stopping | Stopped) => {
                asked(Stopped)
                    || (idle && on_idle == OnIdle::Stop)
                    || (new == Stopping && (abandoned || (idle && on_idle == OnIdle::Delete)))
            }
            (Running, Pausing | Paused) => asked(Paused) || (idle && on_idle == OnIdle::Pause),
            (Running, Deleting | Deleted) => {
                asked(Deleted) || lost || abandoned || (idle && on_idle == OnIdle::Delete)
            }
            (Stopping | Pausing, Running) | (Stopping, Stopped) | (Pausing, Paused) => true,
            (Paused, Stopping | Stopped) => asked(Stopped),
            (Stopped | Paused | Stopping | Pausing, Deleting | Deleted) => {
                asked(Deleted)
                    || lost
                    || over(rested, self.life.stopped_retention)
                    || (self.state == Stopping && (abandoned || idle))
            }
            (Failed, Deleting | Deleted) => {
                asked(Deleted) || self.lost.is_some() || over(rested, self.life.lease_ttl)
            }
            (Stopped | Paused | Stopping | Pausing, Starting | Running) => asked(Running),
            (Starting, Running | Stopped | Paused) => true,
            _ => false,
        }
    }

    /// Until when it must have left the state that it is in, with a provider that answers.
    fn must_be_over(&self) -> Option<i64> {
        let after = |begin: i64, length| millis(length).map(|length| begin + length);
        let life = &self.life;
        let (used, rested) = (*self.used.end(), *self.rested.end());
        let age = after(self.made, life.max_lifetime);
        let clocks = match self.state {
            Running if let Some(lost) = self.lost => vec![Some(lost + self.beat()), age],
            Running if self.busy => vec![age],
            Running => vec![
                after(used, life.idle_timeout),
                after(used, life.lease_ttl),
                age,
            ],
            Stopped | Paused => vec![after(rested, life.stopped_retention), age],
            Failed => vec![after(rested, life.lease_ttl), age],
            _ => Vec::new(),
        };
        clocks.into_iter().flatten().min()
    }

    /// From when on the gateway must have caught up with a provider that was away until then.
    pub(super) fn caught_up(up_since: i64) -> i64 {
        up_since + LONGEST_REST
    }
}
