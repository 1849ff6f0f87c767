//! Seals what must not be read at rest: AES-256-GCM with a random data key for every value, wrapped
//! by a key-encryption key, and bound to whose value it is and what it is for.

mod cipher;
mod envelope;
mod keyring;
mod kms;

use std::sync::Arc;

use secrecy::SecretSlice;
use thiserror::Error;

pub(crate) use keyring::{KeyError, Keyring};
pub(crate) use kms::{Kms, KmsError, WrappedKey};

use crate::sealed::Sealed;
use cipher::DataKey;
use envelope::Envelope;

/// Whose a sealed value is and what it is for. A value opens under the label that it was sealed
/// under and no other, so a row that was moved does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Label<'a> {
    pub(crate) org_id: &'a str,
    /// A session, a user, a sandbox: what the kind says.
    pub(crate) owner: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) name: &'a str,
}

/// Why a value cannot be sealed or opened. Never tells anything of the value.
#[derive(Debug, Error)]
pub(crate) enum VaultError {
    /// The bytes are not what this version writes: cut, changed, or of a later version.
    #[error("the sealed value is malformed or of a later version")]
    Malformed,
    /// It needs a key that is not configured.
    #[error("it is sealed with the key {0}, which SANDGATE_ENCRYPTION_KEYS does not have")]
    UnknownKey(String),
    /// It was changed, or belongs to another label.
    #[error("the sealed value does not open: it was changed or moved")]
    Refused,
    /// The key-encryption keys cannot be used now.
    #[error("key management: {0}")]
    Kms(String),
    /// The system gives no random numbers.
    #[error("random numbers: {0}")]
    Random(#[from] getrandom::Error),
}

/// Seals and opens. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Vault {
    kms: Arc<dyn Kms>,
}

impl Vault {
    pub(crate) fn new(kms: Arc<dyn Kms>) -> Self {
        Self { kms }
    }

    /// The key that new values are sealed under.
    pub(crate) fn key_id(&self) -> &str {
        self.kms.key_id()
    }

    /// All keys that values may be sealed under, the one for new values first.
    pub(crate) fn key_ids(&self) -> Vec<String> {
        self.kms.key_ids()
    }

    /// Seals a value under the first key, with a data key of its own.
    pub(crate) async fn seal(&self, label: &Label<'_>, value: &[u8]) -> Result<Sealed, VaultError> {
        let aad = label.bytes();
        let key = DataKey::random()?;
        let content = key.seal(&aad, value)?;
        let wrapped = self.kms.wrap(key.bytes(), &aad).await?;
        Ok(Self::sealed(&wrapped, &content))
    }

    /// Opens a value that was sealed under this label.
    pub(crate) async fn open(
        &self,
        label: &Label<'_>,
        sealed: &[u8],
    ) -> Result<SecretSlice<u8>, VaultError> {
        let envelope = Envelope::parse(sealed).ok_or(VaultError::Malformed)?;
        let aad = label.bytes();
        let key = self.kms.unwrap(&envelope.wrapped(), &aad).await?;
        DataKey::from(key).open(&aad, envelope.content)
    }

    /// Wraps the value's data key under the first key; none where it is already.
    pub(crate) async fn rewrap(
        &self,
        label: &Label<'_>,
        sealed: &[u8],
    ) -> Result<Option<Sealed>, VaultError> {
        let envelope = Envelope::parse(sealed).ok_or(VaultError::Malformed)?;
        if envelope.key_id == self.key_id() {
            return Ok(None);
        }
        let aad = label.bytes();
        let key = DataKey::from(self.kms.unwrap(&envelope.wrapped(), &aad).await?);
        // What does not open now must not be made to look new.
        key.open(&aad, envelope.content)?;
        let wrapped = self.kms.wrap(key.bytes(), &aad).await?;
        Ok(Some(Self::sealed(&wrapped, envelope.content)))
    }

    fn sealed(wrapped: &WrappedKey, content: &[u8]) -> Sealed {
        Sealed {
            bytes: Envelope::write(wrapped, content),
            key_id: wrapped.key_id.clone(),
        }
    }
}

impl Label<'_> {
    /// Unambiguous: each part with its length before it.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![envelope::VERSION];
        for part in [self.org_id, self.owner, self.kind, self.name] {
            bytes.extend((part.len() as u64).to_be_bytes());
            bytes.extend(part.as_bytes());
        }
        bytes
    }
}

impl From<KmsError> for VaultError {
    fn from(error: KmsError) -> Self {
        match error {
            KmsError::UnknownKey(id) => Self::UnknownKey(id),
            KmsError::Refused => Self::Refused,
            KmsError::Unavailable(why) => Self::Kms(why),
        }
    }
}

#[cfg(test)]
mod tests;
