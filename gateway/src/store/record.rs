//! The rows of the store, free of SQL.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::{principal::Owner, sealed::Sealed};

/// A session. Times are milliseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SessionRecord {
    pub(crate) session_id: Uuid,
    pub(crate) org_id: String,
    pub(crate) user_id: String,
    pub(crate) request_id: Option<Uuid>,
    /// Digest of the request that made it.
    pub(crate) fingerprint: Vec<u8>,
    /// The request that made it, resolved, with later changes, and encoded.
    pub(crate) definition: Vec<u8>,
    pub(crate) agent_id: String,
    pub(crate) harness_id: String,
    pub(crate) labels: BTreeMap<String, String>,
    /// Counts changes.
    pub(crate) version: i64,
    pub(crate) create_time: i64,
    pub(crate) update_time: i64,
    /// From then on it is gone, also before anything has deleted it.
    pub(crate) expire_time: Option<i64>,
    /// Set once it is deleted.
    pub(crate) delete_time: Option<i64>,
    /// When to (next) take down what it owned; none where nothing is left.
    pub(crate) cleanup_time: Option<i64>,
    /// How often that was tried in vain.
    pub(crate) cleanup_tries: i64,
}

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
}

impl SandboxRecord {
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
            ..self.clone()
        }
    }
}

/// Whether a row was added, or what stands in its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum InsertOutcome<T> {
    Inserted,
    /// A row with the same id.
    SameId(T),
    /// A row of the same owner with the same request_id.
    SameRequest(T),
    /// A living row of the same session with the same alias.
    SameAlias(T),
    /// The session that it would belong to is deleted.
    NoSession,
}

/// Where a page begins: after this row, in the order of the listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PageKey {
    /// When the row was made, or 0 where the order is by name alone.
    pub(crate) time: i64,
    /// Its id or name.
    pub(crate) id: String,
}

/// Which sessions to list. Empty strings and maps match everything.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SessionFilter {
    pub(crate) owner: Owner,
    /// Sessions that have expired by then are left out.
    pub(crate) now: i64,
    pub(crate) agent_id: String,
    pub(crate) harness_id: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) after: Option<PageKey>,
    pub(crate) limit: u32,
}

/// Which sandboxes to list. Empty strings, lists and maps match everything.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SandboxFilter {
    pub(crate) owner: Owner,
    pub(crate) session_id: Option<Uuid>,
    pub(crate) provider: String,
    pub(crate) states: Vec<i32>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) after: Option<PageKey>,
    pub(crate) limit: u32,
}

/// Whether a sandbox was added, or why not.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly always the large one, and moved once"
)]
pub(crate) enum SandboxInsert {
    Done(InsertOutcome<SandboxRecord>),
    /// The organisation has as many living ones as it may.
    OverQuota,
    /// The key that it was to be made with was deleted meanwhile.
    KeyGone,
}

/// The sealed state of a sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StateRecord {
    pub(crate) sandbox_id: Uuid,
    pub(crate) session_id: Uuid,
    pub(crate) org_id: String,
    pub(crate) sealed: Vec<u8>,
}
