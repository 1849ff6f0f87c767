//! Copies that can be repeated, while they go on, as the store keeps them.

use async_trait::async_trait;
use uuid::Uuid;

use super::StoreError;
use crate::principal::Owner;

/// A copy that goes on, or was cut off. Times are milliseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TransferRecord {
    pub(crate) owner: Owner,
    pub(crate) request_id: Uuid,
    pub(crate) fingerprint: Vec<u8>,
    /// Whoever works on it.
    pub(crate) holder: Uuid,
    /// Until when; afterwards the holder counts as dead.
    pub(crate) claim_time: i64,
    pub(crate) files: i64,
    pub(crate) bytes: i64,
    /// What became of the first of its files, encoded; empty: of none.
    pub(crate) done: Vec<u8>,
}

/// Files that a new sandbox begins with, and that were not copied yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UploadRecord {
    pub(crate) owner: Owner,
    pub(crate) request_id: Uuid,
    pub(crate) fingerprint: Vec<u8>,
    pub(crate) sandbox_id: Uuid,
    pub(crate) session_id: Uuid,
    /// Which files, encoded.
    pub(crate) asked: Vec<u8>,
    /// Since when nobody works on it.
    pub(crate) since: i64,
}

/// Claims on copies.
#[async_trait]
pub(crate) trait TransferStore: Send + Sync + 'static {
    /// Claims a copy that nobody works on by `now`, with what was done of it before. The row as it is
    /// then: its holder is the one that has it.
    async fn claim_transfer(
        &self,
        wanted: &TransferRecord,
        now: i64,
    ) -> Result<TransferRecord, StoreError>;

    /// A copy that is not over.
    async fn transfer(
        &self,
        owner: &Owner,
        request_id: Uuid,
    ) -> Result<Option<TransferRecord>, StoreError>;

    /// Some of the copies into new sandboxes that run, which nobody has worked on since a time; not the
    /// same each time, so that none keeps the others from being found.
    async fn uploads_left(&self, since: i64, limit: u32) -> Result<Vec<UploadRecord>, StoreError>;

    /// Notes how far its holder is, and until when it claims it; false where another has it.
    async fn renew_transfer(&self, record: &TransferRecord) -> Result<bool, StoreError>;

    /// Forgets it, if this holder has it.
    async fn end_transfer(&self, record: &TransferRecord) -> Result<(), StoreError>;

    /// Drops those that nobody has worked on since a time, at most `limit` of them; how many.
    async fn drop_transfers_before(&self, time: i64, limit: u32) -> Result<u64, StoreError>;
}
