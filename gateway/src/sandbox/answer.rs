//! What providers say, as changes of rows.

use prost::Message as _;
use sandgate_proto::v1::{Sandbox, SandboxState, Support};

use super::Sandboxes;
use crate::{
    fleet::Answer,
    problem::{self, Result},
    store::{Changes, SandboxRecord},
};

impl Sandboxes {
    /// What a provider's answer changes in the row, new state sealed.
    pub(super) async fn answered(
        &self,
        sandbox: &SandboxRecord,
        answer: &Answer,
    ) -> Result<Changes> {
        let mut changes = seen(sandbox, &answer.sandbox);
        if answer.sandbox.state() == SandboxState::Running && changes.start_time.is_none() {
            changes.start_time = Some(self.clock.now());
        }
        if let Some(state) = &answer.state {
            self.seal_state(sandbox, &state.state, &mut changes).await?;
        }
        Ok(changes)
    }

    /// Refuses a feature that a provider is known not to have. What it has was said when its health
    /// was last looked at; one that was never reached may have it.
    pub(super) fn check_had(&self, provider: &str, feature: &'static str) -> Result<()> {
        let endpoints = self.fleet.provider(provider)?.endpoints();
        let said = endpoints.iter().find_map(|one| one.seen().capabilities);
        let denied = said.is_some_and(|said| {
            let found = said.features.iter().find(|one| one.name == feature);
            found.is_some_and(|found| found.support() == Support::Unsupported)
        });
        if !denied {
            return Ok(());
        }
        let message = format!(
            "the provider {provider} does not have {feature}; SandboxService.GetCapabilities lists what it has"
        );
        Err(problem::unsupported(feature, message).with("provider", provider))
    }
}

/// What a provider's answer changes in the row.
fn seen(sandbox: &SandboxRecord, seen: &Sandbox) -> Changes {
    let mut changes = sandbox.unchanged();
    let was_stopped = sandbox.state == i32::from(SandboxState::Stopped);
    if was_stopped && seen.state() == SandboxState::Running {
        // Started by a call whose answer was lost, or by somebody else: what ran before is over.
        changes.boots += 1;
    }
    changes.state = match seen.state() {
        // Gone, and that is all there is to know.
        SandboxState::Deleting | SandboxState::Deleted => SandboxState::Failed.into(),
        settled @ (SandboxState::Running
        | SandboxState::Stopped
        | SandboxState::Paused
        | SandboxState::Failed) => settled.into(),
        // On its way upstream, or not known: a later look tells.
        _ => sandbox.state,
    };
    let reason = seen.reason.clone().unwrap_or_default();
    (changes.reason_code, changes.reason_message) = (reason.code, reason.message);
    changes
        .provider_sandbox_id
        .clone_from(&seen.provider_sandbox_id);
    changes.instance_id.clone_from(&seen.instance_id);
    changes.workspace_path.clone_from(&seen.workspace_path);
    changes.home_path.clone_from(&seen.home_path);
    changes.start_time = seen
        .start_time
        .and_then(crate::clock::millis)
        .or(sandbox.start_time);
    if let Some(spec) = &seen.spec {
        changes.spec = spec.encode_to_vec();
    }
    changes
}
