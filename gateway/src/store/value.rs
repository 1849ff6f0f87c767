//! Sealed values, as the store keeps them.

use async_trait::async_trait;
use uuid::Uuid;

use super::StoreError;

/// What a value is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValueKind {
    /// A secret; its owner is a session.
    Secret,
    /// A key for a provider or for git; its owner is a user.
    Connection,
}

impl ValueKind {
    /// Its name, in rows and in the labels of sealed values.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Connection => "connection",
        }
    }

    /// The kind of this name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::Secret, Self::Connection]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

/// One version of a value. Times are milliseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ValueRecord {
    /// Names the version.
    pub(crate) value_id: Uuid,
    pub(crate) org_id: String,
    /// The session of a secret, the user of a connection.
    pub(crate) owner: String,
    pub(crate) kind: ValueKind,
    pub(crate) name: String,
    /// In use. Otherwise it is only kept to clean up what was made with it.
    pub(crate) active: bool,
    pub(crate) sealed: Vec<u8>,
    /// The key that it is sealed under.
    pub(crate) key_id: String,
    /// Bytes of the value itself.
    pub(crate) size: i64,
    /// Last characters of a connection's key; may be empty.
    pub(crate) hint: String,
    pub(crate) update_time: i64,
    /// When an upstream last took it.
    pub(crate) validate_time: Option<i64>,
}

/// Secrets of sessions and connections of users, sealed; one row for each version. A version that is
/// no longer in use is kept as long as a living sandbox was made with it.
#[async_trait]
pub(crate) trait ValueStore: Send + Sync + 'static {
    /// Puts a version in use, instead of the one that had its name. False, and nothing is kept,
    /// where it is the secret of a session that is deleted.
    async fn set_value(&self, value: &ValueRecord) -> Result<bool, StoreError>;

    /// Takes a value out of use; false where there was none.
    async fn delete_value(
        &self,
        kind: ValueKind,
        org_id: &str,
        owner: &str,
        name: &str,
    ) -> Result<bool, StoreError>;

    /// The version in use.
    async fn value(
        &self,
        kind: ValueKind,
        org_id: &str,
        owner: &str,
        name: &str,
    ) -> Result<Option<ValueRecord>, StoreError>;

    /// A version, in use or not.
    async fn value_version(&self, value_id: Uuid) -> Result<Option<ValueRecord>, StoreError>;

    /// Values in use with names after this one, in bytewise order of the names.
    async fn list_values(
        &self,
        kind: ValueKind,
        org_id: &str,
        owner: &str,
        after: &str,
        limit: u32,
    ) -> Result<Vec<ValueRecord>, StoreError>;

    /// All versions of this name, of whoever, after this one, in the order of their ids.
    async fn versions_named(
        &self,
        kind: ValueKind,
        name: &str,
        after: Uuid,
        limit: u32,
    ) -> Result<Vec<ValueRecord>, StoreError>;

    /// Takes all secrets of a session out of use.
    async fn delete_values_of_session(&self, session_id: Uuid) -> Result<(), StoreError>;

    /// Drops this version, or every one if none is named, if it is out of use and no living sandbox
    /// was made with it; how many were dropped.
    async fn drop_unused_values(&self, value_id: Option<Uuid>) -> Result<u64, StoreError>;

    /// Bytes of all secrets in use in the sessions of an organisation.
    async fn bytes_of_org(&self, org_id: &str) -> Result<i64, StoreError>;

    /// Versions that are sealed under other keys, after this one, in the order of their ids.
    async fn values_not_under(
        &self,
        key_id: &str,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<ValueRecord>, StoreError>;

    /// Puts a version under another key, unless it was sealed anew or dropped meanwhile.
    async fn replace_sealed(
        &self,
        value_id: Uuid,
        old: &[u8],
        new: &[u8],
        key_id: &str,
    ) -> Result<bool, StoreError>;
}
