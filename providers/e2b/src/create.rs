//! Makes a sandbox, or finds the one that is there.

use std::time::Duration;

use sandgate_kit::{CallContext, Instance, Kind, Network, ProviderError, Spec};
use sandgate_proto::{Outcome, v1::sandbox_spec::Source};
use secrecy::SecretString;
use tokio::time::sleep;

use crate::{
    E2b,
    api::body::{self, Access, Detail, NewSandbox, State},
    envd::EnvdFault,
    fault::Fault,
    instance,
    kept::{Kept, digest},
    marks,
    prepare::{Environment, prepare},
    provider::key,
    step,
};

/// How often E2B is asked what became of a create whose answer is lost; the time before the first, and
/// twice as long before each further one. Together a quarter of a minute: E2B starts a sandbox in a second
/// or two.
const LOOKS: u32 = 4;
const PAUSE: Duration = Duration::from_secs(1);

impl E2b {
    /// Makes the sandbox of the context unless it is there.
    pub(crate) async fn make_or_find(
        &self,
        context: &CallContext,
        spec: Spec,
    ) -> Result<Instance, ProviderError> {
        let key = key(context)?;
        check(&spec)?;
        let mut kept = self.kept(context);
        if !spec.user.is_empty() {
            kept.user.clone_from(&spec.user);
        }
        if !spec.workdir.is_empty() {
            kept.workdir.clone_from(&spec.workdir);
        }
        let there = self.own(context, key).await.map_err(Fault::harmless)?;
        if let Some(found) = there.into_iter().next() {
            return self.finish(context, found, kept, &spec.env).await;
        }
        step::reached("e2b.create.listed")?;
        let made = self.make(context, key, &spec).await?;
        step::reached("e2b.create.made")?;
        kept.take(&made);
        kept.key = digest(key);
        let id = made.sandbox_id.clone();
        match self.settle(context, key, &id, (kept, &spec.env)).await {
            Ok(instance) => {
                step::reached("e2b.create.settled")?;
                Ok(instance)
            }
            Err(error) => {
                if let Err(fault) = self.api.kill(key, &id).await
                    && !fault.is_gone()
                {
                    tracing::warn!(%fault, sandbox_id = context.sandbox_id, "a failed create could not be taken down; deleting the sandbox will");
                }
                Err(error)
            }
        }
    }

    /// Prepares a new sandbox, while E2B is asked whether somebody else has just made another one for
    /// the same context: the older one stays.
    async fn settle(
        &self,
        context: &CallContext,
        key: &SecretString,
        id: &str,
        (mut kept, env): (Kept, &Environment),
    ) -> Result<Instance, ProviderError> {
        let envd = self.envd(id, &kept).map_err(unusable)?;
        let prepared = async {
            prepare(&envd, &mut kept, Some(env)).await?;
            step::reached("e2b.create.prepared")
        };
        let listed = async { self.own(context, key).await.map_err(Fault::harmless) };
        let ((), all) = tokio::try_join!(prepared, listed)?;
        let Some(first) = all.first() else {
            // Its list is behind; it is there, since it was just used.
            let found = self.api.get(key, id).await.map_err(Fault::harmless)?;
            return Ok(instance::described(&found, &kept));
        };
        if first.access.sandbox_id == id {
            return Ok(instance::described(first, &kept));
        }
        match self.api.kill(key, id).await {
            Err(fault) if !fault.is_gone() => return Err(fault.into()),
            _ => {}
        }
        let (user, workdir) = (kept.user, kept.workdir);
        let other = Kept {
            user,
            workdir,
            ..Kept::default()
        };
        self.finish(context, first.clone(), other, env).await
    }

    /// Brings up one that was there, and makes it fit to be used if that was never finished.
    async fn finish(
        &self,
        context: &CallContext,
        found: Detail,
        mut kept: Kept,
        env: &Environment,
    ) -> Result<Instance, ProviderError> {
        let (key, id) = (key(context)?, found.access.sandbox_id.clone());
        if found.state == State::Running {
            // A list tells no token.
            let detail = self.api.get(key, &id).await.map_err(Fault::harmless)?;
            kept.take(&detail.access);
        } else {
            let access = self.api.connect(key, &id, self.config.timeout).await?;
            kept.take(&access);
        }
        kept.stopped = false;
        kept.key = digest(key);
        if kept.home.is_empty() {
            let envd = self.envd(&id, &kept).map_err(unusable)?;
            prepare(&envd, &mut kept, Some(env)).await?;
        }
        let found = Detail {
            state: State::Running,
            ..found
        };
        Ok(instance::described(&found, &kept))
    }

    async fn make(
        &self,
        context: &CallContext,
        key: &SecretString,
        spec: &Spec,
    ) -> Result<Access, ProviderError> {
        let template = match &spec.source {
            Some(Source::Template(template)) => template,
            _ => &self.config.template,
        };
        let metadata = marks::all(context, &spec.title, &spec.labels);
        let new = NewSandbox {
            template,
            timeout: self.config.timeout,
            auto_pause: true,
            secure: true,
            allow_internet_access: spec.network != Network::None,
            metadata: &metadata,
            // Its ports open by a token, or everybody who learns its id could come in.
            network: body::Network {
                allow_public_traffic: Some(false),
            },
        };
        let fault = match self.api.create(key, &new).await {
            Ok(made) => return Ok(made),
            Err(fault) => fault,
        };
        if fault.is_unsent() || !fault.is_passing() {
            return Err(fault.into());
        }
        // It may have been made all the same, or still be.
        let mut pause = PAUSE;
        for _ in 0..LOOKS {
            sleep(pause).await;
            pause *= 2;
            if let Ok(all) = self.own(context, key).await
                && let Some(made) = all.into_iter().next()
            {
                let id = &made.access.sandbox_id;
                return Ok(self.api.get(key, id).await?.access);
            }
        }
        Err(fault.into())
    }

    /// All that E2B has for the context, the oldest first.
    pub(crate) async fn own(
        &self,
        context: &CallContext,
        key: &SecretString,
    ) -> Result<Vec<Detail>, Fault> {
        let mut all = self.api.list(key, &marks::of_sandbox(context)).await?;
        all.retain(|one| {
            let metadata = one.metadata.as_ref();
            metadata.is_some_and(|metadata| marks::own(context, metadata))
        });
        let order = |one: &Detail| {
            let started = instance::time(&one.started_at);
            (started, one.access.sandbox_id.clone())
        };
        all.sort_by_cached_key(order);
        Ok(all)
    }
}

/// Refuses what E2B cannot do.
fn check(spec: &Spec) -> Result<(), ProviderError> {
    let unsupported = |capability, message: &str| {
        Err(ProviderError::new(
            Kind::Unsupported(capability),
            message.to_owned(),
        ))
    };
    match &spec.source {
        Some(Source::Image(_)) => {
            return unsupported(
                "image",
                "E2B makes sandboxes from templates: name one, or make one of your image with E2B's template tools",
            );
        }
        Some(Source::Snapshot(_)) => {
            return unsupported("snapshot", "name a template instead of a snapshot");
        }
        _ => {}
    }
    if spec.limits != sandgate_kit::Limits::default() {
        return unsupported(
            "resources",
            "at E2B the template says how many cores and how much memory a sandbox has; leave resources out",
        );
    }
    if !spec.runtime.is_empty() {
        return unsupported("runtime", "E2B has one runtime; leave runtime out");
    }
    Ok(())
}

fn unusable(fault: EnvdFault) -> ProviderError {
    let message = "E2B gave a sandbox that cannot be reached; repeat the call";
    fault.told(Outcome::Ambiguous, message)
}
