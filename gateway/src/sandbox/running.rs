//! How many executions an organisation has running, where that is bounded. What was started through
//! this gateway is counted; at the bound the providers are asked how many still run.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{StreamExt as _, stream};
use uuid::Uuid;

use super::{Sandboxes, Target, context::Key, state};
use crate::problem::{self, Result};
use sandgate_proto::{
    Reason,
    v1::{RenewSandboxRequest, SandboxState},
};

/// How long a provider may take to say what runs.
const PATIENCE: Duration = Duration::from_secs(5);
/// Sandboxes that are asked at the same time.
const ASKED: usize = 8;

/// Executions that were started, by organisation and sandbox.
#[derive(Default)]
pub(super) struct Started(Mutex<HashMap<String, HashMap<Uuid, u64>>>);

impl Started {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, HashMap<Uuid, u64>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one more, unless there are as many as there may be.
    fn count(&self, org_id: &str, sandbox_id: Uuid, most: u64) -> bool {
        let mut all = self.lock();
        let of_org = all.entry(org_id.to_owned()).or_default();
        if of_org.values().sum::<u64>() >= most {
            return false;
        }
        *of_org.entry(sandbox_id).or_default() += 1;
        true
    }

    fn sandboxes(&self, org_id: &str) -> Vec<(Uuid, u64)> {
        let all = self.lock();
        let of_org = all.get(org_id).into_iter().flatten();
        of_org.map(|(id, count)| (*id, *count)).collect()
    }

    /// What was counted for a sandbox before it was asked gives way to what it said; what was
    /// started meanwhile stays.
    fn correct(&self, org_id: &str, sandbox_id: Uuid, counted: u64, running: u64) {
        let mut all = self.lock();
        let Some(of_org) = all.get_mut(org_id) else {
            return;
        };
        if let Some(count) = of_org.get_mut(&sandbox_id) {
            *count = count.saturating_sub(counted) + running;
            if *count == 0 {
                of_org.remove(&sandbox_id);
            }
        }
    }
}

impl Sandboxes {
    /// Counts an execution that is about to be started.
    ///
    /// # Errors
    /// `QUOTA_EXCEEDED` where the organisation has as many running as it may.
    pub(crate) async fn admit(&self, target: &Target) -> Result<()> {
        let Some(most) = self.limits.quota_executions.map(u64::from) else {
            return Ok(());
        };
        let (org_id, sandbox_id) = (target.org_id(), target.sandbox_id());
        if self.started.count(org_id, sandbox_id, most) {
            return Ok(());
        }
        self.recount(org_id).await;
        if self.started.count(org_id, sandbox_id, most) {
            return Ok(());
        }
        let message = "your organisation has as many executions running as it may; wait for one to end or signal one, then repeat the call";
        let refused = problem::quota_exceeded("executions", org_id, message);
        Err(refused.retry_after(PATIENCE))
    }

    async fn recount(&self, org_id: &str) {
        let asked = self.started.sandboxes(org_id);
        let asked = stream::iter(asked).map(|(sandbox_id, counted)| async move {
            match self.running_in(sandbox_id).await {
                Ok(running) => self.started.correct(org_id, sandbox_id, counted, running),
                // What cannot be asked counts as before: the bound holds also then.
                Err(problem) => tracing::debug!(%sandbox_id, %problem, "cannot tell what runs"),
            }
        });
        asked.buffer_unordered(ASKED).collect::<()>().await;
    }

    async fn running_in(&self, sandbox_id: Uuid) -> Result<u64> {
        let Some(sandbox) = self.store.sandbox(sandbox_id).await? else {
            return Ok(0);
        };
        let Some(session) = self.store.session(sandbox.session_id).await? else {
            return Ok(0);
        };
        if state(&sandbox) != SandboxState::Running {
            return Ok(0);
        }
        let context = self.context(&session, &sandbox, Key::Either).await?;
        let lane = self.lane(&sandbox)?;
        let request = RenewSandboxRequest {
            ended_cursor: sandbox.ended_cursor.clone(),
            ..Default::default()
        };
        match lane.renew(&context, request, PATIENCE).await {
            Ok(renewed) => Ok(u64::from(renewed.running)),
            Err(problem) if problem.reason() == Reason::SandboxNotFound => Ok(0),
            Err(problem) => Err(problem),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_to_run_replaces_what_was_counted_and_nothing_else() {
        let (started, one, other) = (Started::default(), Uuid::new_v4(), Uuid::new_v4());
        assert!(started.count("acme", one, 2) && started.count("acme", other, 2));
        assert!(!started.count("acme", one, 2) && started.count("else", one, 2));
        started.correct("acme", one, 1, 0);
        assert_eq!(started.sandboxes("acme"), [(other, 1)]);
        assert!(started.count("acme", other, 2));
        // One more was started while it was asked.
        started.correct("acme", other, 1, 1);
        assert_eq!(started.sandboxes("acme"), [(other, 2)]);
    }
}
