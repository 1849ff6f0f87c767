//! The calls of the scripted provider.

use std::time::SystemTime;

use sandgate_kit::{CallContext, Command, Instance, Page, Provider, ProviderError, Spec};
use sandgate_proto::v1::{Capabilities, Feature, Placement, SandboxState, Support};

use super::{Fake, Op, Scripted};

impl Provider for Fake {
    type Process = Scripted;

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
            state_data: vec![b's'].into(),
        };
        let mut sandboxes = self.0.sandboxes.lock().unwrap();
        Ok(sandboxes
            .entry(context.sandbox_id.clone())
            .or_insert(instance)
            .clone())
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
        self.change(context, Some(SandboxState::Running))
    }

    async fn stop(&self, context: &CallContext) -> Result<Instance, ProviderError> {
        self.act(Op::Stop, Some(context)).await?;
        self.change(context, Some(SandboxState::Stopped))
    }

    async fn delete(&self, context: &CallContext) -> Result<(), ProviderError> {
        self.act(Op::Delete, Some(context)).await?;
        self.0.sandboxes.lock().unwrap().remove(&context.sandbox_id);
        Ok(())
    }

    async fn exec(
        &self,
        context: &CallContext,
        command: Command,
    ) -> Result<Scripted, ProviderError> {
        self.record(Op::Exec, Some(context), Some(command.clone()), None);
        self.obey(Op::Exec).await?;
        self.change(context, None)?;
        let line = command.argv.last().cloned().unwrap_or_default();
        Ok(Scripted::start(&line, self.0.counters.clone()))
    }
}
