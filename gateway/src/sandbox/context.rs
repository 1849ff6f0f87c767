//! The provider context of a call: the user's key, resolved afresh, and the sandbox's state, opened.

use sandgate_proto::{
    Reason,
    provider::v1::{Credential, ProviderContext},
};
use secrecy::{ExposeSecret as _, SecretSlice};
use uuid::Uuid;

use super::Sandboxes;
use crate::{
    credential::Resolved,
    fleet::Context,
    problem::Result,
    sealed::Sealed,
    store::{Changes, SandboxRecord, SessionRecord},
    vault::Label,
};

/// What the state of sandboxes is sealed as.
const STATE: &str = "provider_state";

/// Which of the user's keys a call is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// The one that the user has now.
    Current,
    /// The one that the sandbox was made with, also where the user has replaced or deleted it: to
    /// make, to take back and to delete. The present one where there is no other.
    MadeWith,
    /// The present one, or where there is none the one that it was made with: to stop.
    Either,
}

impl Sandboxes {
    /// What a provider is told with a call about a sandbox.
    pub(super) async fn context(
        &self,
        session: &SessionRecord,
        sandbox: &SandboxRecord,
        key: Key,
    ) -> Result<Context> {
        let credential = self.credential(session, sandbox, key).await?;
        self.context_with(session, sandbox, key, credential).await
    }

    pub(super) async fn context_with(
        &self,
        session: &SessionRecord,
        sandbox: &SandboxRecord,
        key: Key,
        credential: Option<Credential>,
    ) -> Result<Context> {
        let state = match self.state_of(sandbox).await {
            Err(problem) if key == Key::MadeWith => {
                // Damaged state must not keep a sandbox from being cleaned up: without it the
                // provider finds it by its labels.
                tracing::error!(sandbox_id = %sandbox.sandbox_id, %problem, "going on without its state");
                SecretSlice::default()
            }
            state => state?,
        };
        let state = state.expose_secret().to_vec();
        Context::new(&ProviderContext {
            gateway_id: self.gateway_id.to_string(),
            org_id: session.org_id.clone(),
            user_id: session.user_id.clone(),
            agent_id: session.agent_id.clone(),
            harness_id: session.harness_id.clone(),
            session_id: session.session_id.to_string(),
            sandbox_id: sandbox.sandbox_id.to_string(),
            generation: u64::try_from(sandbox.generation).unwrap_or_default(),
            credential,
            state: state.into(),
            state_version: u64::try_from(sandbox.version).unwrap_or_default(),
            provider_sandbox_id: sandbox.provider_sandbox_id.clone(),
            alias: sandbox.alias.clone().unwrap_or_default(),
            instance_id: sandbox.instance_id.clone(),
        })
    }

    pub(super) async fn credential(
        &self,
        session: &SessionRecord,
        sandbox: &SandboxRecord,
        key: Key,
    ) -> Result<Option<Credential>> {
        if key == Key::MadeWith
            && let Some(made_with) = self.made_with(sandbox).await?
        {
            return Ok(Some(made_with.credential));
        }
        let current = self.credentials.for_provider(session, &sandbox.provider);
        let resolved = match current.await {
            Err(problem)
                if key != Key::Current && problem.reason() == Reason::ConnectionRequired =>
            {
                self.made_with(sandbox).await?
            }
            other => other?,
        };
        Ok(resolved.map(|resolved| resolved.credential))
    }

    /// The key that a sandbox was made with, if it takes one and it is still kept.
    async fn made_with(&self, sandbox: &SandboxRecord) -> Result<Option<Resolved>> {
        let Some(value_id) = sandbox.credential_id else {
            return Ok(None);
        };
        match self.credentials.version(value_id).await {
            Err(problem) => {
                // The user's present key may do as well.
                tracing::error!(sandbox_id = %sandbox.sandbox_id, %problem, "going on without its key");
                Ok(None)
            }
            found => found,
        }
    }

    /// The user's present key, where it is another than the one that the sandbox was made with.
    pub(super) async fn other_key(
        &self,
        session: &SessionRecord,
        sandbox: &SandboxRecord,
    ) -> Option<Resolved> {
        let current = self.credentials.for_provider(session, &sandbox.provider);
        let current: Option<Resolved> = current.await.ok().flatten();
        current.filter(|resolved| Some(resolved.value_id) != sandbox.credential_id)
    }

    /// Puts new state into the changes of a row, sealed. The same state stays as it is: sealed anew it
    /// would look like a change.
    pub(super) async fn seal_state(
        &self,
        sandbox: &SandboxRecord,
        state: &[u8],
        changes: &mut Changes,
    ) -> Result<()> {
        let before = self.state_of(sandbox).await?;
        if before.expose_secret() == state {
            return Ok(());
        }
        if state.is_empty() {
            changes.provider_state = Some(Sealed::default());
            return Ok(());
        }
        let names = Names::of(sandbox.session_id, sandbox.sandbox_id);
        let label = names.label(&sandbox.org_id);
        changes.provider_state = Some(self.vault.seal(&label, state).await?);
        Ok(())
    }

    /// The state as the provider gave it; empty where there is none.
    async fn state_of(&self, sandbox: &SandboxRecord) -> Result<SecretSlice<u8>> {
        let sealed = sandbox.provider_state.as_slice();
        if sealed.is_empty() {
            return Ok(SecretSlice::default());
        }
        let names = Names::of(sandbox.session_id, sandbox.sandbox_id);
        let label = names.label(&sandbox.org_id);
        Ok(self.vault.open(&label, sealed).await?)
    }

    /// Wraps the states of all sandboxes anew under the vault's first key; how many. Goes on past
    /// one that cannot be, and tells of it at the end.
    pub(crate) async fn reseal_states(&self) -> Result<u64> {
        let (mut done, mut after, mut failed) = (0, Uuid::nil(), None);
        loop {
            let key_id = self.vault.key_id();
            let rows = self.store.states_not_under(key_id, after, BATCH).await?;
            let Some(last) = rows.last() else {
                return failed.map_or(Ok(done), Err);
            };
            after = last.sandbox_id;
            for row in &rows {
                let names = Names::of(row.session_id, row.sandbox_id);
                let label = names.label(&row.org_id);
                match self.vault.rewrap(&label, &row.sealed).await {
                    Ok(None) => {}
                    Ok(Some(new)) => {
                        done += u64::from(
                            self.store
                                .reseal_state(row, &new.bytes, &new.key_id)
                                .await?,
                        )
                    }
                    Err(error) => failed = Some(error.into()),
                }
            }
        }
    }
}

/// States that are sealed anew at a time.
const BATCH: u32 = 100;

/// The texts of a state's label.
struct Names {
    session_id: String,
    sandbox_id: String,
}

impl Names {
    fn of(session_id: Uuid, sandbox_id: Uuid) -> Self {
        Self {
            session_id: session_id.to_string(),
            sandbox_id: sandbox_id.to_string(),
        }
    }

    fn label<'a>(&'a self, org_id: &'a str) -> Label<'a> {
        Label {
            org_id,
            owner: &self.session_id,
            kind: STATE,
            name: &self.sandbox_id,
        }
    }
}
