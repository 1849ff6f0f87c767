//! Waking, resting, keeping up and removing sandboxes.

use std::time::{Duration, SystemTime};

use sandgate_kit::{CallContext, Instance, Kind, ProviderError};
use sandgate_proto::v1::SandboxState;
use tokio::time::{Instant, sleep};

use crate::{
    E2b,
    api::{
        LOOK_AGAIN, SETTLED,
        body::{Detail, State},
    },
    fault::Fault,
    instance,
    kept::digest,
    marks,
    provider::key,
    step,
};

/// Added to what a gateway asks for, so that its own clocks act first.
const SLACK: Duration = Duration::from_secs(60);
/// Longest that E2B is asked to keep a sandbox from now on; its plans allow a day at most.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

impl E2b {
    /// Starts or resumes.
    pub(crate) async fn wake(&self, context: &CallContext) -> Result<Instance, ProviderError> {
        let found = self.find(context).await?;
        let (key, id) = (key(context)?, &found.access.sandbox_id);
        let mut kept = self.kept(context);
        if found.state == State::Running {
            kept.take(&found.access);
        } else {
            let access = self.api.connect(key, id, self.config.timeout).await?;
            // Another life of the machine may have another token.
            kept.take(&access);
        }
        kept.stopped = false;
        let mut now = self.find(context).await?;
        now.state = State::Running;
        Ok(instance::described(&now, &kept))
    }

    /// Pauses, or stops: that is a pause that forgets what was in memory.
    pub(crate) async fn rest(
        &self,
        context: &CallContext,
        memory: bool,
    ) -> Result<Instance, ProviderError> {
        let found = self.find(context).await?;
        let (key, id) = (key(context)?, &found.access.sandbox_id);
        let mut kept = self.kept(context);
        kept.take(&found.access);
        let mut runs = found.state == State::Running;
        let is_stopped = instance::described(&found, &kept).state == SandboxState::Stopped;
        if memory && is_stopped {
            return Err(ProviderError::new(
                Kind::NotRunning,
                "a stopped sandbox has nothing to pause; start it first",
            ));
        }
        if !memory && !runs && !is_stopped {
            // Only another pause lets go of what the first one kept in memory.
            kept.take(&self.api.connect(key, id, self.config.timeout).await?);
            runs = true;
        }
        if runs {
            self.freeze(context, id, memory).await?;
        }
        kept.stopped = !memory;
        step::reached("e2b.stop.paused")?;
        let now = self.find(context).await?;
        Ok(instance::described(&now, &kept))
    }

    /// Pauses what runs, once it is not changing its state, and unless that became a pause.
    async fn freeze(
        &self,
        context: &CallContext,
        id: &str,
        memory: bool,
    ) -> Result<(), ProviderError> {
        let begun = Instant::now();
        loop {
            let fault = match self.api.pause(key(context)?, id, memory).await {
                Ok(()) => return Ok(()),
                Err(fault) => fault,
            };
            if !fault.is_conflict() || begun.elapsed() > SETTLED {
                return Err(fault.into());
            }
            if self.find(context).await?.state == State::Paused {
                return Ok(());
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    /// Looks, and sees to it that E2B does not end it too soon.
    pub(crate) async fn keep_up(
        &self,
        context: &CallContext,
        keep_for: Option<Duration>,
    ) -> Result<Instance, ProviderError> {
        let found = self.find(context).await?;
        let found = match keep_for {
            Some(keep_for) => self.put_off(context, found, keep_for).await?,
            None => found,
        };
        let mut kept = self.kept(context);
        kept.take(&found.access);
        kept.key = digest(key(context)?);
        Ok(instance::described(&found, &kept))
    }

    /// Moves the end of what runs, where that is too near; as it is then.
    async fn put_off(
        &self,
        context: &CallContext,
        found: Detail,
        keep_for: Duration,
    ) -> Result<Detail, ProviderError> {
        let wanted = (keep_for + SLACK).min(LONGEST);
        let due = SystemTime::now() + wanted;
        let is_near = instance::time(&found.end_at).is_some_and(|end| end < due);
        if found.state != State::Running || !is_near {
            return Ok(found);
        }
        let longer = wanted.max(Duration::from_secs(self.config.timeout.into()));
        let seconds = u32::try_from(longer.as_secs()).unwrap_or(u32::MAX);
        let id = &found.access.sandbox_id;
        match self.api.set_timeout(key(context)?, id, seconds).await {
            Ok(()) => {}
            // It was paused meanwhile, or it is gone: what it is, is seen now.
            Err(fault) if fault.is_gone() => {}
            Err(fault) => return Err(fault.harmless()),
        }
        // A plan may give less than was asked for.
        self.find(context).await
    }

    /// Removes all that E2B has of a sandbox.
    pub(crate) async fn remove(&self, context: &CallContext) -> Result<(), ProviderError> {
        let key = key(context)?;
        // By metadata, so that one whose id was never told goes, too.
        let all = self.api.list(key, &marks::of_sandbox(context)).await;
        let mut ids: Vec<String> = all
            .map_err(Fault::harmless)?
            .into_iter()
            .map(|one| one.access.sandbox_id)
            .collect();
        let named = &context.provider_sandbox_id;
        if !named.is_empty() && !ids.contains(named) {
            // Lists may be behind.
            ids.push(named.clone());
        }
        step::reached("e2b.delete.listed")?;
        for id in ids {
            match self.api.kill(key, &id).await {
                Ok(()) => {}
                Err(fault) if fault.is_gone() => {}
                Err(fault) => return Err(fault.into()),
            }
        }
        step::reached("e2b.delete.killed")
    }
}
