//! Answers kept for repeated requests.

use async_trait::async_trait;
use uuid::Uuid;

use super::StoreError;
use crate::principal::Owner;

/// What a call that gave a request_id was answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AnswerRecord {
    /// Path of its rpc.
    pub(crate) method: String,
    /// Keyed digest of the request.
    pub(crate) fingerprint: Vec<u8>,
    /// The answer, framed as on the wire.
    pub(crate) answer: Vec<u8>,
    pub(crate) create_time: i64,
}

/// Answers of calls that gave a request_id, and the key of their digests.
#[async_trait]
pub(crate) trait RequestStore: Send + Sync + 'static {
    /// The answer that was kept for a caller's request_id.
    async fn answer(
        &self,
        owner: &Owner,
        request_id: Uuid,
    ) -> Result<Option<AnswerRecord>, StoreError>;

    /// Keeps an answer, unless there is one for the request_id already.
    async fn keep_answer(
        &self,
        owner: &Owner,
        request_id: Uuid,
        answer: &AnswerRecord,
    ) -> Result<(), StoreError>;

    /// Forgets answers from before this time, at most `limit` of them; how many.
    async fn drop_answers_before(&self, time: i64, limit: u32) -> Result<u64, StoreError>;

    /// The sealed key of the digests, stored now if there is none yet.
    async fn digest_key(&self, new: &[u8], key_id: &str) -> Result<Vec<u8>, StoreError>;

    /// Replaces the sealed key of the digests, unless it changed.
    async fn reseal_digest_key(
        &self,
        old: &[u8],
        new: &[u8],
        key_id: &str,
    ) -> Result<bool, StoreError>;
}
