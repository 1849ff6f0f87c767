//! API keys, as the store keeps them.

use async_trait::async_trait;
use uuid::Uuid;

use super::{InsertOutcome, PageKey, StoreError};

/// An API key. Times are milliseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct KeyRecord {
    pub(crate) api_key_id: String,
    pub(crate) title: String,
    /// For whom its holder calls.
    pub(crate) org_id: String,
    pub(crate) user_id: String,
    pub(crate) scopes: Vec<String>,
    /// All that is kept of the secret.
    pub(crate) secret_digest: Vec<u8>,
    /// Who had it made; request_id is unique among what one issuer asked for.
    pub(crate) issuer: String,
    pub(crate) request_id: Option<Uuid>,
    /// Digest of the request that made it.
    pub(crate) fingerprint: Vec<u8>,
    pub(crate) create_time: i64,
    pub(crate) expire_time: Option<i64>,
    pub(crate) revoke_time: Option<i64>,
    pub(crate) last_use_time: Option<i64>,
}

/// Which API keys to list. Empty strings match everything.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct KeyFilter {
    pub(crate) org_id: String,
    pub(crate) user_id: String,
    /// Also those that are revoked, or expired by `now`.
    pub(crate) include_inactive: bool,
    pub(crate) now: i64,
    pub(crate) after: Option<PageKey>,
    pub(crate) limit: u32,
}

/// API keys, by their ids.
#[async_trait]
pub(crate) trait KeyStore: Send + Sync + 'static {
    /// Adds a key, unless its issuer's request_id is taken: then the one that has it.
    async fn insert_key(&self, key: &KeyRecord) -> Result<InsertOutcome<KeyRecord>, StoreError>;

    /// A key, whether or not it is good any more.
    async fn key(&self, api_key_id: &str) -> Result<Option<KeyRecord>, StoreError>;

    /// Revokes a key, for good; it keeps the time of the first revocation. None where there is no
    /// such key.
    async fn revoke_key(&self, api_key_id: &str, now: i64)
    -> Result<Option<KeyRecord>, StoreError>;

    /// Keys, newest first.
    async fn list_keys(&self, filter: &KeyFilter) -> Result<Vec<KeyRecord>, StoreError>;

    /// The ids of keys that were revoked at this time or later.
    async fn revoked_since(&self, time: i64) -> Result<Vec<String>, StoreError>;

    /// Notes when keys were last used; an earlier time than is noted changes nothing.
    async fn touch_keys(&self, uses: &[(String, i64)]) -> Result<(), StoreError>;
}
