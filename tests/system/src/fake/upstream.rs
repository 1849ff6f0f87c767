//! What is upstream of the scripted provider: its sandboxes, and what befalls them there.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use sandgate_kit::{CallContext, Instance, Kind, ProviderError};
use sandgate_proto::v1::SandboxState;

use super::{Fake, Inner, runner::Runner};

impl Fake {
    /// The ids of the sandboxes that are there.
    pub fn sandboxes(&self) -> Vec<String> {
        self.0.sandboxes.lock().unwrap().keys().cloned().collect()
    }

    /// A sandbox as it is there.
    pub fn upstream(&self, sandbox_id: &str) -> Option<Instance> {
        self.0.sandboxes.lock().unwrap().get(sandbox_id).cloned()
    }

    /// The sandboxes that are there, and their states.
    pub fn states(&self) -> Vec<(String, SandboxState)> {
        let sandboxes = self.0.sandboxes.lock().unwrap();
        let states = sandboxes.iter().map(|(id, one)| (id.clone(), one.state));
        states.collect()
    }

    /// Removes a sandbox behind everybody's back.
    pub fn lose(&self, sandbox_id: &str) {
        self.0.sandboxes.lock().unwrap().remove(sandbox_id);
        if let Some(runner) = self.0.runners.lock().unwrap().remove(sandbox_id) {
            runner.vanish();
        }
    }

    /// Breaks the links to a sandbox's runner; what runs there runs on.
    pub fn unlink(&self, sandbox_id: &str) {
        if let Some(runner) = self.0.runners.lock().unwrap().get(sandbox_id) {
            runner.unlink();
        }
    }

    /// What the upstream says of a sandbox from now on, behind everybody's back. One that is said
    /// to have ended takes its runner with it, and one that runs has one.
    pub fn set_state(&self, sandbox_id: &str, state: SandboxState) {
        let mut sandboxes = self.0.sandboxes.lock().unwrap();
        let instance = sandboxes.get_mut(sandbox_id).expect("no such sandbox");
        instance.state = state;
        self.0.follow(&instance.clone());
    }

    /// Puts a sandbox there that nobody made.
    pub fn add(&self, instance: Instance) {
        self.0.follow(&instance);
        let mut sandboxes = self.0.sandboxes.lock().unwrap();
        sandboxes.insert(instance.sandbox_id.clone(), instance);
    }

    /// Starts a command in a sandbox that runs, past its gateway.
    pub fn begin(&self, sandbox_id: &str, execution_id: &str, command: &str) {
        let runners = self.0.runners.lock().unwrap();
        let runner = runners.get(sandbox_id).cloned().expect("no runner");
        drop(runners);
        runner.begin(execution_id, command);
    }

    /// Ends all commands of a sandbox, past its gateway.
    pub async fn finish(&self, sandbox_id: &str) {
        let runner = self.0.runners.lock().unwrap().get(sandbox_id).cloned();
        if let Some(runner) = runner {
            runner.finish().await;
        }
    }

    /// When the upstream itself ends a sandbox, from now on.
    pub fn expire(&self, sandbox_id: &str, at: Option<SystemTime>) {
        let mut sandboxes = self.0.sandboxes.lock().unwrap();
        let instance = sandboxes.get_mut(sandbox_id).expect("no such sandbox");
        instance.expire_time = at;
    }

    /// As if this time had passed in all sandboxes, with nothing happening in them.
    pub fn age(&self, by: Duration) {
        self.0.counters.age(by);
    }

    pub(super) fn change(
        &self,
        context: &CallContext,
        state: Option<SandboxState>,
    ) -> Result<Instance, ProviderError> {
        let mut sandboxes = self.0.sandboxes.lock().unwrap();
        let instance = sandboxes
            .get_mut(&context.sandbox_id)
            .ok_or_else(|| ProviderError::new(Kind::SandboxGone, "there is no such sandbox"))?;
        if let Some(state) = state {
            instance.state = state;
            let next = [&instance.state_data[..], b"s"].concat();
            instance.state_data = next.into();
        }
        Ok(instance.clone())
    }
}

impl Inner {
    /// A new life of the sandbox's runner, unless it has one.
    pub(super) fn run(&self, instance: &Instance) {
        let made = || {
            let (id, generation) = (&instance.sandbox_id, instance.generation);
            let counters = self.counters.clone();
            Arc::new(Runner::new(id, generation, self.runtime.clone(), counters))
        };
        let mut runners = self.runners.lock().unwrap();
        runners
            .entry(instance.sandbox_id.clone())
            .or_insert_with(made);
    }

    /// Has a runner where the upstream says that the sandbox runs; ends it where it says that it
    /// does not.
    fn follow(&self, instance: &Instance) {
        match instance.state {
            SandboxState::Running => self.run(instance),
            SandboxState::Stopped
            | SandboxState::Failed
            | SandboxState::Deleting
            | SandboxState::Deleted => {
                if let Some(runner) = self.runners.lock().unwrap().remove(&instance.sandbox_id) {
                    runner.vanish();
                }
            }
            _ => {}
        }
    }

    pub(super) fn end(&self, sandbox_id: &str, by: &str) {
        if let Some(runner) = self.runners.lock().unwrap().remove(sandbox_id) {
            runner.stop(by);
        }
    }
}
