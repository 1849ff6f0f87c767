//! The rows of the store, free of SQL.

use std::collections::BTreeMap;

use uuid::Uuid;

/// A session. Times are milliseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SessionRecord {
    pub(crate) session_id: Uuid,
    pub(crate) org_id: String,
    pub(crate) user_id: String,
    pub(crate) request_id: Option<Uuid>,
    /// Digest of the request that made it.
    pub(crate) fingerprint: Vec<u8>,
    /// The request that made it, resolved and encoded.
    pub(crate) definition: Vec<u8>,
    pub(crate) agent_id: String,
    pub(crate) harness_id: String,
    pub(crate) labels: BTreeMap<String, String>,
    /// Counts changes.
    pub(crate) version: i64,
    pub(crate) create_time: i64,
    pub(crate) update_time: i64,
}

/// A sandbox.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SandboxRecord {
    pub(crate) sandbox_id: Uuid,
    pub(crate) session_id: Uuid,
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
    /// What the provider wants back with each call; opaque.
    pub(crate) provider_state: Vec<u8>,
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
    pub(crate) provider_state: Vec<u8>,
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
            provider_state: self.provider_state.clone(),
            workspace_path: self.workspace_path.clone(),
            home_path: self.home_path.clone(),
            start_time: self.start_time,
            delete_time: self.delete_time,
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
}

/// Where a page begins: after this row, in the order of the listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageKey {
    pub(crate) create_time: i64,
    pub(crate) id: Uuid,
}

/// Whose rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OwnerFilter {
    pub(crate) org_id: String,
    pub(crate) user_id: String,
}

/// Which sessions to list. Empty strings and maps match everything.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SessionFilter {
    pub(crate) owner: OwnerFilter,
    pub(crate) agent_id: String,
    pub(crate) harness_id: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) after: Option<PageKey>,
    pub(crate) limit: u32,
}

/// Which sandboxes to list. Empty strings, lists and maps match everything.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SandboxFilter {
    pub(crate) owner: OwnerFilter,
    pub(crate) session_id: Option<Uuid>,
    pub(crate) provider: String,
    pub(crate) states: Vec<i32>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) after: Option<PageKey>,
    pub(crate) limit: u32,
}
