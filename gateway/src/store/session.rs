//! Changes of sessions, and what is left to do after they end, as the store keeps them.

use std::collections::BTreeMap;

use async_trait::async_trait;
use uuid::Uuid;

use super::{InsertOutcome, NewEvent, SessionRecord, StoreError};

/// The columns of a session that its owner may change. A change sets all of them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SessionChanges {
    pub(crate) definition: Vec<u8>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) expire_time: Option<i64>,
    pub(crate) update_time: i64,
}

/// Sessions that change and end.
///
/// The clean-up of a deleted session is claimed by moving its `cleanup_time` into the future; whoever
/// moved it has until then. All changes of it compare it with what was seen before.
#[async_trait]
pub(crate) trait SessionStore: Send + Sync + 'static {
    /// What an insert of this session would find in its place.
    async fn same_session(
        &self,
        session: &SessionRecord,
    ) -> Result<Option<InsertOutcome<SessionRecord>>, StoreError>;

    /// Applies changes if the row still has the version that they were made from. The row as it
    /// is then, or none where another change came first.
    async fn change_session(
        &self,
        session_id: Uuid,
        version: i64,
        changes: &SessionChanges,
    ) -> Result<Option<SessionRecord>, StoreError>;

    /// The living sandboxes with this alias, by session.
    async fn sandboxes_by_alias(
        &self,
        session_ids: &[Uuid],
        alias: &str,
    ) -> Result<BTreeMap<Uuid, Uuid>, StoreError>;

    /// Marks sessions deleted whose time has come, at most `limit`, makes their clean-up due, and
    /// tells what `event` says of each.
    async fn expire_sessions(
        &self,
        now: i64,
        limit: u32,
        event: fn(Uuid) -> NewEvent,
    ) -> Result<Vec<Uuid>, StoreError>;

    /// Deleted sessions whose clean-up is due, longest due first.
    async fn sessions_to_clean(
        &self,
        now: i64,
        limit: u32,
    ) -> Result<Vec<SessionRecord>, StoreError>;

    /// Claims a clean-up until then; false where another was faster.
    async fn claim_cleanup(
        &self,
        session_id: Uuid,
        seen: i64,
        until: i64,
    ) -> Result<bool, StoreError>;

    /// Gives a claim back, to be tried again at `next`.
    async fn postpone_cleanup(
        &self,
        session_id: Uuid,
        claimed: i64,
        next: i64,
    ) -> Result<bool, StoreError>;

    /// Ends a claim for good; false, and nothing changed, where a sandbox is left.
    async fn end_cleanup(&self, session_id: Uuid, claimed: i64) -> Result<bool, StoreError>;
}
