//! The rows of sandboxes, and how they change.

use std::collections::BTreeMap;

use sandgate_proto::v1::SandboxState;
use uuid::Uuid;

use super::SessionRecord;
use crate::sealed::Sealed;

/// A sandbox.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SandboxRecord {
    pub(crate) sandbox_id: Uuid,
    pub(crate) session_id: Uuid,
    /// The session's.
    pub(crate) org_id: String,
    pub(crate) alias: Option<String>,
    pub(crate) request_id: Option<Uuid>,
    /// Digest of the request that made it.
    pub(crate) fingerprint: Vec<u8>,
    pub(crate) provider: String,
    /// The resolved spec, encoded.
    pub(crate) spec: Vec<u8>,
    pub(crate) labels: BTreeMap<String, String>,
    /// `SandboxState` by number.
    pub(crate) state: i32,
    pub(crate) reason_code: String,
    pub(crate) reason_message: String,
    pub(crate) generation: i64,
    /// Counts changes.
    pub(crate) version: i64,
    pub(crate) provider_sandbox_id: String,
    pub(crate) instance_id: String,
    /// The version of the key that it was made with; none where its provider takes no key.
    pub(crate) credential_id: Option<Uuid>,
    /// What the provider wants back with each call; opaque and sealed. Empty: nothing.
    pub(crate) provider_state: Vec<u8>,
    /// The key that it is sealed under.
    pub(crate) state_key_id: String,
    pub(crate) workspace_path: String,
    pub(crate) home_path: String,
    pub(crate) create_time: i64,
    pub(crate) start_time: Option<i64>,
    /// Set once it is gone; the row is a tombstone then.
    pub(crate) delete_time: Option<i64>,
    /// Since when it is in its state.
    pub(crate) state_time: i64,
    /// Its last use.
    pub(crate) activity_time: i64,
    /// Executions that ran when its provider was last asked.
    pub(crate) running: i64,
    /// When the upstream itself ends it, as far as is known.
    pub(crate) provider_expire_time: Option<i64>,
    /// When to look at it next, or until when somebody has claimed that; none: never.
    pub(crate) due_time: Option<i64>,
    /// How often what is due was tried in vain.
    pub(crate) tries: i64,
    /// Which of its ended executions were saved; the provider's own word.
    pub(crate) ended_cursor: String,
    /// Since when the upstream does not list it.
    pub(crate) absent_time: Option<i64>,
    /// How often it was started again, each time without what ran before.
    pub(crate) boots: i64,
}

/// The columns of a sandbox that change in its life. A change sets all of them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Changes {
    pub(crate) spec: Vec<u8>,
    pub(crate) state: i32,
    pub(crate) reason_code: String,
    pub(crate) reason_message: String,
    pub(crate) provider_sandbox_id: String,
    pub(crate) instance_id: String,
    pub(crate) credential_id: Option<Uuid>,
    /// None: whatever the row has then, which may be sealed anew by then; an empty one clears it.
    pub(crate) provider_state: Option<Sealed>,
    pub(crate) workspace_path: String,
    pub(crate) home_path: String,
    pub(crate) start_time: Option<i64>,
    pub(crate) delete_time: Option<i64>,
    pub(crate) state_time: i64,
    pub(crate) due_time: Option<i64>,
    pub(crate) tries: i64,
    pub(crate) boots: i64,
}

/// What a look at a sandbox found, written without counting as a change of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Looked {
    pub(crate) sandbox_id: Uuid,
    /// The claim that the look was made under.
    pub(crate) claim: i64,
    pub(crate) activity_time: i64,
    pub(crate) running: i64,
    pub(crate) provider_expire_time: Option<i64>,
    pub(crate) ended_cursor: String,
    pub(crate) due_time: Option<i64>,
    pub(crate) tries: i64,
}

impl SandboxRecord {
    /// The row of a sandbox that is about to be made.
    pub(crate) fn new(
        sandbox_id: Uuid,
        session: &SessionRecord,
        provider: String,
        spec: Vec<u8>,
        now: i64,
    ) -> Self {
        Self {
            sandbox_id,
            session_id: session.session_id,
            org_id: session.org_id.clone(),
            alias: None,
            request_id: None,
            fingerprint: Vec::new(),
            provider,
            spec,
            labels: BTreeMap::new(),
            state: SandboxState::Creating.into(),
            reason_code: String::new(),
            reason_message: String::new(),
            generation: 1,
            version: 1,
            provider_sandbox_id: String::new(),
            instance_id: String::new(),
            credential_id: None,
            provider_state: Vec::new(),
            state_key_id: String::new(),
            workspace_path: String::new(),
            home_path: String::new(),
            create_time: now,
            start_time: None,
            delete_time: None,
            state_time: now,
            activity_time: now,
            running: 0,
            provider_expire_time: None,
            due_time: Some(now),
            tries: 0,
            ended_cursor: String::new(),
            absent_time: None,
            boots: 0,
        }
    }

    /// Changes that change nothing, to start from.
    pub(crate) fn unchanged(&self) -> Changes {
        Changes {
            spec: self.spec.clone(),
            state: self.state,
            reason_code: self.reason_code.clone(),
            reason_message: self.reason_message.clone(),
            provider_sandbox_id: self.provider_sandbox_id.clone(),
            instance_id: self.instance_id.clone(),
            credential_id: self.credential_id,
            provider_state: None,
            workspace_path: self.workspace_path.clone(),
            home_path: self.home_path.clone(),
            start_time: self.start_time,
            delete_time: self.delete_time,
            state_time: self.state_time,
            due_time: self.due_time,
            tries: self.tries,
            boots: self.boots,
        }
    }

    /// The row as it is after changes.
    pub(crate) fn changed(&self, changes: &Changes) -> Self {
        // Named one by one, so that a new column cannot be forgotten here.
        let Changes {
            spec,
            state,
            reason_code,
            reason_message,
            provider_sandbox_id,
            instance_id,
            credential_id,
            provider_state,
            workspace_path,
            home_path,
            start_time,
            delete_time,
            state_time,
            due_time,
            tries,
            boots,
        } = changes.clone();
        let as_it_is = || Sealed {
            bytes: self.provider_state.clone(),
            key_id: self.state_key_id.clone(),
        };
        let sealed = provider_state.unwrap_or_else(as_it_is);
        Self {
            version: self.version + 1,
            spec,
            state,
            reason_code,
            reason_message,
            provider_sandbox_id,
            instance_id,
            credential_id,
            provider_state: sealed.bytes,
            state_key_id: sealed.key_id,
            workspace_path,
            home_path,
            start_time,
            delete_time,
            state_time,
            due_time,
            tries,
            boots,
            ..self.clone()
        }
    }
}

/// The sealed state of a sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StateRecord {
    pub(crate) sandbox_id: Uuid,
    pub(crate) session_id: Uuid,
    pub(crate) org_id: String,
    pub(crate) sealed: Vec<u8>,
}
