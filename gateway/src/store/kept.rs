//! Executions that outlive their sandboxes, as the store keeps them.

use std::collections::BTreeSet;

use async_trait::async_trait;
use uuid::Uuid;

use super::{PageKey, StoreError};

/// An execution that has ended. Times are milliseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeptRecord {
    pub(crate) sandbox_id: Uuid,
    pub(crate) execution_id: String,
    pub(crate) session_id: Uuid,
    pub(crate) org_id: String,
    /// Generation of the sandbox.
    pub(crate) generation: i64,
    /// How often the sandbox had been started again when it ended.
    pub(crate) boots: i64,
    pub(crate) start_time: i64,
    pub(crate) end_time: i64,
    pub(crate) expire_time: i64,
    /// Bytes of what is sealed.
    pub(crate) size: i64,
    /// The key that it is sealed under.
    pub(crate) key_id: String,
    pub(crate) sealed: Vec<u8>,
}

/// A page of the kept executions of one sandbox.
#[derive(Clone, Debug)]
pub(crate) struct KeptPage {
    pub(crate) session_id: Uuid,
    pub(crate) sandbox_id: Uuid,
    /// Those that have expired by then are not listed.
    pub(crate) now: i64,
    /// The last one of the page before.
    pub(crate) after: Option<PageKey>,
    pub(crate) limit: u32,
}

/// Executions that have ended. The first record of one stays, since an end never changes.
#[async_trait]
pub(crate) trait KeptStore: Send + Sync + 'static {
    /// Keeps executions of one sandbox that are not kept yet, and of all of its executions the `most`
    /// that ended last. Nothing is kept of a session that is deleted.
    async fn keep_executions(&self, records: &[KeptRecord], most: u32) -> Result<(), StoreError>;

    /// Which executions of a sandbox are kept.
    async fn kept_ids(&self, sandbox_id: Uuid) -> Result<BTreeSet<String>, StoreError>;

    /// One that is the session's and has not expired by `now`.
    async fn kept_execution(
        &self,
        session_id: Uuid,
        sandbox_id: Uuid,
        execution_id: &str,
        now: i64,
    ) -> Result<Option<KeptRecord>, StoreError>;

    /// Those of a sandbox, the one that began last first.
    async fn list_kept(&self, page: &KeptPage) -> Result<Vec<KeptRecord>, StoreError>;

    /// Drops all of a session.
    async fn drop_kept_of_session(&self, session_id: Uuid) -> Result<(), StoreError>;

    /// Drops those that expire before a time, at most `limit` of them; how many.
    async fn drop_kept_before(&self, time: i64, limit: u32) -> Result<u64, StoreError>;

    /// Those sealed under other keys than this one, behind the one of this sandbox and id, in their
    /// order.
    async fn kept_not_under(
        &self,
        key_id: &str,
        after: (Uuid, &str),
        limit: u32,
    ) -> Result<Vec<KeptRecord>, StoreError>;

    /// Puts one under another key, unless it was sealed anew or dropped meanwhile.
    async fn reseal_kept(
        &self,
        record: &KeptRecord,
        new: &[u8],
        key_id: &str,
    ) -> Result<bool, StoreError>;
}
