//! The calls of the scripted provider.

use std::{
    sync::atomic::Ordering,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use sandgate_kit::{CallContext, Instance, Kind, Page, Provider, ProviderError, Reached, Spec};
use sandgate_proto::v1::{Capabilities, Feature, Placement, SandboxState, Support};
use tokio::io::{DuplexStream, duplex};

use super::{Call, Fake, Op, runner::serve};

/// Bytes that may be under way on a link, each way.
const LINK: usize = 1 << 20;

impl Provider for Fake {
    type Link = DuplexStream;

    fn id(&self) -> &'static str {
        Self::ID
    }

    async fn capabilities(&self) -> Result<Capabilities, ProviderError> {
        self.act(Op::Capabilities, None).await?;
        let feature = |name: &str, support: Support| Feature {
            name: name.to_owned(),
            support: support.into(),
            note: String::new(),
        };
        let pause = if self.0.can_pause.load(Ordering::SeqCst) {
            Support::Native
        } else {
            Support::Unsupported
        };
        Ok(Capabilities {
            provider: Self::ID.to_owned(),
            placement: Placement::Any.into(),
            version: "1".to_owned(),
            features: vec![
                feature("exec", Support::Native),
                feature("exec_user", Support::Unsupported),
                feature("pause", pause),
                feature("hibernate", pause),
                feature("renew", Support::Native),
                feature("start", Support::Native),
                feature("stop", Support::Native),
            ],
            ..Default::default()
        })
    }

    async fn health(&self) -> Result<(), ProviderError> {
        self.act(Op::Health, None).await
    }

    async fn create(&self, context: &CallContext, spec: Spec) -> Result<Instance, ProviderError> {
        self.record(Call {
            spec: Some(spec),
            ..Call::of(Op::Create, context)
        });
        self.obey(Op::Create).await?;
        let instance = Instance {
            sandbox_id: context.sandbox_id.clone(),
            session_id: context.owner.session_id.clone(),
            provider_sandbox_id: format!("fake-{}", context.sandbox_id),
            instance_id: String::new(),
            state: SandboxState::Running,
            reason: None,
            generation: context.generation,
            workspace_path: "/workspace".to_owned(),
            home_path: "/root".to_owned(),
            create_time: Some(SystemTime::now()),
            start_time: Some(SystemTime::now()),
            expire_time: None,
            state_data: [&self.0.state.lock().unwrap()[..], b"s"].concat().into(),
        };
        let mut sandboxes = self.0.sandboxes.lock().unwrap();
        let there = sandboxes.entry(context.sandbox_id.clone());
        let instance = there.or_insert(instance).clone();
        if instance.state == SandboxState::Running {
            self.0.run(&instance);
        }
        Ok(instance)
    }

    async fn get(&self, context: &CallContext) -> Result<Instance, ProviderError> {
        self.act(Op::Get, Some(context)).await?;
        self.change(context, None)
    }

    async fn list(
        &self,
        context: &CallContext,
        page: Page,
    ) -> Result<Vec<Instance>, ProviderError> {
        self.act(Op::List, Some(context)).await?;
        let sandboxes = self.0.sandboxes.lock().unwrap();
        let session_id = &context.owner.session_id;
        let later = sandboxes.values().filter(|instance| {
            let is_asked_for = session_id.is_empty() || instance.session_id == *session_id;
            is_asked_for && instance.sandbox_id > page.after
        });
        Ok(later.take(page.size).cloned().collect())
    }

    async fn start(&self, context: &CallContext) -> Result<Instance, ProviderError> {
        self.act(Op::Start, Some(context)).await?;
        let instance = self.change(context, Some(SandboxState::Running))?;
        self.0.run(&instance);
        Ok(instance)
    }

    async fn stop(&self, context: &CallContext) -> Result<Instance, ProviderError> {
        self.act(Op::Stop, Some(context)).await?;
        let instance = self.change(context, Some(SandboxState::Stopped))?;
        self.0.end(&context.sandbox_id, "SANDBOX_STOPPED");
        Ok(instance)
    }

    async fn pause(
        &self,
        context: &CallContext,
        hibernate: bool,
    ) -> Result<Instance, ProviderError> {
        self.record(Call {
            hibernate,
            ..Call::of(Op::Pause, context)
        });
        self.answer(Op::Pause, Some(context)).await?;
        self.check_pause(if hibernate { "hibernate" } else { "pause" })?;
        match self.change(context, None)?.state {
            SandboxState::Running | SandboxState::Paused => {
                self.change(context, Some(SandboxState::Paused))
            }
            _ => Err(not_running()),
        }
    }

    async fn resume(&self, context: &CallContext) -> Result<Instance, ProviderError> {
        self.act(Op::Resume, Some(context)).await?;
        self.check_pause("pause")?;
        let instance = self.change(context, Some(SandboxState::Running))?;
        self.0.run(&instance);
        Ok(instance)
    }

    async fn renew(
        &self,
        context: &CallContext,
        keep_for: Option<Duration>,
    ) -> Result<Instance, ProviderError> {
        self.record(Call {
            keep_for,
            ..Call::of(Op::Renew, context)
        });
        self.answer(Op::Renew, Some(context)).await?;
        self.change(context, None)
    }

    async fn delete(&self, context: &CallContext) -> Result<(), ProviderError> {
        self.act(Op::Delete, Some(context)).await?;
        self.0.sandboxes.lock().unwrap().remove(&context.sandbox_id);
        self.0.end(&context.sandbox_id, "SANDBOX_DELETED");
        Ok(())
    }

    async fn reach(&self, context: &CallContext) -> Result<Reached<DuplexStream>, ProviderError> {
        self.act(Op::Reach, Some(context)).await?;
        if self.change(context, None)?.state == SandboxState::Paused {
            return Err(not_running());
        }
        let runners = self.0.runners.lock().unwrap();
        let runner = runners.get(&context.sandbox_id).cloned();
        drop(runners);
        let runner = runner.ok_or_else(not_running)?;
        let (link, end) = duplex(LINK);
        let served = serve(end, runner, self.clone(), context.clone());
        self.0.runtime.spawn(served);
        let secret = Bytes::new();
        Ok(Reached { link, secret })
    }
}

impl Fake {
    fn check_pause(&self, capability: &'static str) -> Result<(), ProviderError> {
        if self.0.can_pause.load(Ordering::SeqCst) {
            return Ok(());
        }
        let kind = Kind::Unsupported(capability);
        Err(ProviderError::new(
            kind,
            "no pause, as GetCapabilities says",
        ))
    }
}

fn not_running() -> ProviderError {
    ProviderError::new(Kind::NotRunning, "the sandbox does not run; start it")
}
