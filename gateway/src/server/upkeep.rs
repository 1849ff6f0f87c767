//! What goes on beside the calls.

use std::time::Duration;

use sandgate_service::Drain;
use tokio_util::task::TaskTracker;

use super::rooms::Rooms;
use crate::{Config, lease, retain::retain, sandbox, transfer};

/// How long answers of repeatable requests are kept.
const ANSWERS: Duration = Duration::from_secs(24 * 3600);

impl Rooms {
    /// Starts what goes on beside the calls, until the drain begins.
    pub(super) fn watch(&self, config: &Config, tasks: &TaskTracker, drain: &Drain) {
        self.ground.fleet.watch(tasks, drain);
        self.identity.watch(tasks, drain);
        let keeper = lease::Keeper::new(
            self.removals.clone(),
            self.sandboxes.clone(),
            self.ground.store.clone(),
            config,
            tasks.clone(),
        );
        tasks.spawn(keeper.run(drain.clone()));
        tasks.spawn(self.owned.files.clone().keep_clean(drain.clone()));
        tasks.spawn(self.transfers.clone().finish_uploads(drain.clone()));
        self.forget(config, tasks, drain);
    }

    /// Starts what forgets what is too old.
    fn forget(&self, config: &Config, tasks: &TaskTracker, drain: &Drain) {
        let store = self.ground.store.clone();
        let gone = move |before, limit| {
            let store = store.clone();
            async move { store.drop_tombstones_before(before, limit).await }
        };
        tasks.spawn(retain(
            "deleted sandboxes",
            sandbox::TOMBSTONE,
            drain.clone(),
            gone,
        ));
        let store = self.ground.store.clone();
        let answers = move |before, limit| {
            let store = store.clone();
            async move { store.drop_answers_before(before, limit).await }
        };
        tasks.spawn(retain("answers", ANSWERS, drain.clone(), answers));
        let kept = self.owned.kept.clone();
        let executions = move |now, limit| {
            let kept = kept.clone();
            async move { kept.drop_before(now, limit).await }
        };
        // Each says itself when it expires.
        tasks.spawn(retain(
            "executions",
            Duration::ZERO,
            drain.clone(),
            executions,
        ));
        let transfers = self.transfers.clone();
        let broken = move |before, limit| {
            let transfers = transfers.clone();
            async move { transfers.drop_before(before, limit).await }
        };
        tasks.spawn(retain("transfers", transfer::KEPT, drain.clone(), broken));
        if let Some(days) = config.audit.days() {
            let store = self.ground.store.clone();
            let events = move |before, limit| {
                let store = store.clone();
                async move { store.drop_audit_before(before, limit).await }
            };
            let age = Duration::from_secs(u64::from(days) * 24 * 3600);
            tasks.spawn(retain("audit events", age, drain.clone(), events));
        }
    }
}
