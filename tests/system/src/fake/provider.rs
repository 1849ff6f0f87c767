//! The calls of the scripted provider.

use std::time::SystemTime;

use bytes::Bytes;
use sandgate_kit::{CallContext, Instance, Kind, Page, Provider, ProviderError, Reached, Spec};
use sandgate_proto::v1::{Capabilities, Feature, Placement, SandboxState, Support};
use tokio::io::{DuplexStream, duplex};

use super::{Fake, Op, runner::serve};

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
        Ok(Capabilities {
            provider: Self::ID.to_owned(),
            placement: Placement::Any.into(),
            version: "1".to_owned(),
            features: vec![
                feature("exec", Support::Native),
                feature("exec_user", Support::Unsupported),
                feature("pause", Support::Unsupported),
            ],
            ..Default::default()
        })
    }

    async fn health(&self) -> Result<(), ProviderError> {
        self.act(Op::Health, None).await
    }

    async fn create(&self, context: &CallContext, spec: Spec) -> Result<Instance, ProviderError> {
        self.record(Op::Create, Some(context), None, Some(spec));
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
        let later = sandboxes
            .values()
            .filter(|instance| instance.sandbox_id > page.after);
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

    async fn delete(&self, context: &CallContext) -> Result<(), ProviderError> {
        self.act(Op::Delete, Some(context)).await?;
        self.0.sandboxes.lock().unwrap().remove(&context.sandbox_id);
        self.0.end(&context.sandbox_id, "SANDBOX_DELETED");
        Ok(())
    }

    async fn reach(&self, context: &CallContext) -> Result<Reached<DuplexStream>, ProviderError> {
        self.act(Op::Reach, Some(context)).await?;
        self.change(context, None)?;
        let runner = self
            .0
            .runners
            .lock()
            .unwrap()
            .get(&context.sandbox_id)
            .cloned();
        let runner = runner.ok_or_else(|| {
            ProviderError::new(Kind::NotRunning, "the sandbox is stopped; start it")
        })?;
        let (link, end) = duplex(LINK);
        let served = serve(end, runner, self.clone(), context.clone());
        self.0.runtime.spawn(served);
        let secret = Bytes::new();
        Ok(Reached { link, secret })
    }
}
