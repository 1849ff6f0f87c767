//! The rows of the store, free of SQL.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::SandboxRecord;
use crate::principal::Owner;

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

impl SessionRecord {
    /// One that has nothing yet but its owner.
    pub(crate) fn new(session_id: Uuid, org_id: String, user_id: String, now: i64) -> Self {
        Self {
            session_id,
            org_id,
            user_id,
            request_id: None,
            fingerprint: Vec::new(),
            definition: Vec::new(),
            agent_id: String::new(),
            harness_id: String::new(),
            labels: BTreeMap::new(),
            version: 1,
            create_time: now,
            update_time: now,
            expire_time: None,
            delete_time: None,
            cleanup_time: None,
            cleanup_tries: 0,
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
