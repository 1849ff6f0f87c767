//! When sandboxes were last used, gathered in memory so that most uses cost no write.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
};

use uuid::Uuid;

use super::{Sandboxes, clocks};
use crate::{
    clock::{Clock, span},
    problem::Result,
    store::SandboxRecord,
};

/// After so many milliseconds without a use a sandbox is forgotten here.
const FORGOTTEN: i64 = 120_000;

/// The last use of one sandbox. Cheap to clone and to write.
#[derive(Clone)]
pub(crate) struct Touch {
    clock: Clock,
    last: Arc<AtomicI64>,
}

impl Touch {
    /// It is used now.
    pub(crate) fn now(&self) {
        self.last.fetch_max(self.clock.now(), Ordering::Relaxed);
    }
}

struct Used {
    last: Arc<AtomicI64>,
    /// What the row says.
    written: i64,
    /// Uses that come faster than this are written together.
    merged: i64,
}

/// The sandboxes that were used lately.
#[derive(Default)]
pub(super) struct Touches(Mutex<HashMap<Uuid, Used>>);

impl Touches {
    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Used>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last use that this process knows of.
    pub(super) fn last(&self, sandbox_id: Uuid) -> Option<i64> {
        let used = self.lock();
        Some(used.get(&sandbox_id)?.last.load(Ordering::Relaxed))
    }

    /// It is gone.
    pub(super) fn forget(&self, sandbox_id: Uuid) {
        self.lock().remove(&sandbox_id);
    }

    /// What is to be written now, or all that is not written; it counts as written from then on.
    fn take(&self, now: i64, all: bool) -> Vec<(Uuid, i64)> {
        let mut due = Vec::new();
        self.lock().retain(|id, used| {
            let last = used.last.load(Ordering::Relaxed);
            if last > used.written && (all || now - used.written >= used.merged) {
                used.written = last;
                due.push((*id, last));
            }
            // What is noted where nobody looks any more would be lost.
            let is_noted_elsewhere = Arc::strong_count(&used.last) > 1;
            last > used.written || now - last < FORGOTTEN || is_noted_elsewhere
        });
        due
    }

    /// All sandboxes count as used now: what was noted may lie ahead of a clock that was set back.
    fn restart(&self, now: i64) {
        for used in self.lock().values_mut() {
            used.last.store(now, Ordering::Relaxed);
            used.written = now;
        }
    }

    /// Writes of these failed: they are to be written again.
    fn give_back(&self, due: &[(Uuid, i64)]) {
        let mut all = self.lock();
        for (id, _) in due {
            if let Some(used) = all.get_mut(id) {
                used.written = 0;
            }
        }
    }
}

impl Sandboxes {
    /// Where uses of a sandbox are noted.
    pub(super) fn touch(&self, sandbox: &SandboxRecord) -> Touch {
        let mut all = self.touches.lock();
        let used = all.entry(sandbox.sandbox_id).or_insert_with(|| {
            // A third of its shortest clock, so that another gateway sees a use in time.
            let life = clocks::lifecycle(sandbox);
            let clocks = [life.idle_timeout, life.lease_ttl].map(clocks::millis);
            let shortest = clocks.into_iter().flatten().filter(|time| *time > 0).min();
            let third = shortest.map_or(i64::MAX, |time| time / 3);
            Used {
                last: Arc::new(AtomicI64::new(sandbox.activity_time)),
                written: sandbox.activity_time,
                merged: span(self.pace.touch).min(third),
            }
        });
        Touch {
            clock: self.clock.clone(),
            last: used.last.clone(),
        }
    }

    /// Notes a use at once: a sandbox that comes up may have been left alone for long before.
    pub(super) async fn used_now(&self, sandbox: &SandboxRecord) -> Result<()> {
        let used = (sandbox.sandbox_id, self.clock.now());
        self.store.touch(&[used]).await.map_err(Into::into)
    }

    /// Lets the clocks of all sandboxes begin anew, and has all looked at; what is worked on keeps
    /// being held until `held`.
    pub(crate) async fn restart_clocks(&self, now: i64, held: i64) -> Result<()> {
        self.touches.restart(now);
        self.store.restart_clocks(now, held).await?;
        Ok(())
    }

    /// Writes the uses that were not written yet and are due, or all.
    pub(crate) async fn write_touches(&self, all: bool) -> Result<()> {
        let due = self.touches.take(self.clock.now(), all);
        if due.is_empty() {
            return Ok(());
        }
        let written = self.store.touch(&due).await;
        if written.is_err() {
            self.touches.give_back(&due);
        }
        written.map_err(Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uses_are_written_at_once_and_then_together() {
        let touches = Touches::default();
        let (id, last) = (Uuid::new_v4(), Arc::new(AtomicI64::new(0)));
        let used = Used {
            last: last.clone(),
            written: 0,
            merged: 30_000,
        };
        touches.lock().insert(id, used);
        assert!(touches.take(40_000, false).is_empty(), "nothing was used");
        last.store(41_000, Ordering::Relaxed);
        assert_eq!(touches.take(41_000, false), [(id, 41_000)]);
        for time in [50_000, 60_000, 70_999] {
            last.store(time, Ordering::Relaxed);
            assert!(touches.take(time, false).is_empty(), "{time}");
            assert_eq!(touches.last(id), Some(time));
        }
        assert_eq!(touches.take(71_000, false), [(id, 70_999)]);
        touches.give_back(&[(id, 70_999)]);
        assert_eq!(touches.take(71_001, false), [(id, 70_999)]);
        last.store(71_002, Ordering::Relaxed);
        assert_eq!(touches.take(71_003, true), [(id, 71_002)], "at the end");
        assert!(touches.take(200_000, false).is_empty());
        assert_eq!(touches.last(id), Some(71_002), "somebody may still note it");
        touches.restart(50_000);
        assert_eq!(touches.last(id), Some(50_000), "the clock was set back");
        drop(last);
        assert!(touches.take(200_000, false).is_empty());
        assert_eq!(touches.last(id), None, "forgotten");
    }
}
