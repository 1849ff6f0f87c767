//! Where key-encryption keys live. The keyring of this process is one place; a service that never
//! gives its keys away is another.

use async_trait::async_trait;
use secrecy::SecretSlice;
use thiserror::Error;

/// A data key, wrapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WrappedKey {
    /// The key-encryption key that it needs, 1 to 64 bytes.
    pub(crate) key_id: String,
    /// Up to 1 KiB; its form is the wrapper's own.
    pub(crate) bytes: Vec<u8>,
}

/// Why a data key cannot be wrapped or unwrapped.
#[derive(Debug, Error)]
pub(crate) enum KmsError {
    /// There is no key with this id.
    #[error("no key {0}")]
    UnknownKey(String),
    /// It was changed, or wrapped for another use.
    #[error("the wrapped key does not open")]
    Refused,
    /// Wrapping does not work now.
    #[error("{0}")]
    Unavailable(String),
}

/// Wraps data keys. `aad` is bound to the wrapped key: unwrapping with another one is refused.
#[async_trait]
pub(crate) trait Kms: Send + Sync + 'static {
    /// The key that `wrap` uses.
    fn key_id(&self) -> &str;

    /// All keys that `unwrap` knows, the one of `wrap` first.
    fn key_ids(&self) -> Vec<String>;

    /// Wraps a data key under the first key.
    async fn wrap(&self, key: &[u8], aad: &[u8]) -> Result<WrappedKey, KmsError>;

    /// Unwraps a data key, whichever of the keys it was wrapped under.
    async fn unwrap(&self, wrapped: &WrappedKey, aad: &[u8]) -> Result<SecretSlice<u8>, KmsError>;
}
