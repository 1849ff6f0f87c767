//! Key-encryption keys in this process, from its configuration: the first one wraps, all unwrap.

use std::fmt;

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
use thiserror::Error;
use zeroize::Zeroizing;

use super::{
    VaultError,
    cipher::{DataKey, KEY},
    kms::{Kms, KmsError, WrappedKey},
};

/// Bytes of an id.
const ID_BYTES: usize = 64;

/// Why a list of keys cannot be used. Says where and why, and never shows what stands there.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum KeyError {
    /// Nothing is there.
    #[error("there is no encryption key; make one with `sandgate keygen`")]
    None,
    /// One is not of the form.
    #[error(
        "encryption key number {0} is not of the form key_id:base64 with a key of 32 bytes; make one with `sandgate keygen`"
    )]
    Form(usize),
    /// Two have the same id.
    #[error("two encryption keys have the id {0}; give each its own")]
    Twice(String),
}

/// The keys, the one that writes first.
pub(crate) struct Keyring {
    keys: Vec<(String, DataKey)>,
}

impl Keyring {
    /// Reads `key_id:base64`, separated by commas or white space.
    ///
    /// # Errors
    /// Where there is none, one is malformed, or an id occurs twice.
    pub(crate) fn parse(text: &SecretString) -> Result<Self, KeyError> {
        let parts = text
            .expose_secret()
            .split([',', ' ', '\t', '\r', '\n'])
            .filter(|part| !part.is_empty());
        let mut keys: Vec<(String, DataKey)> = Vec::new();
        for (index, part) in parts.enumerate() {
            let (id, key) = key(part).ok_or(KeyError::Form(index + 1))?;
            if keys.iter().any(|(known, _)| *known == id) {
                return Err(KeyError::Twice(id));
            }
            keys.push((id, key));
        }
        if keys.is_empty() {
            return Err(KeyError::None);
        }
        Ok(Self { keys })
    }

    fn find(&self, key_id: &str) -> Option<&DataKey> {
        let found = self.keys.iter().find(|(id, _)| id == key_id);
        found.map(|(_, key)| key)
    }
}

fn key(part: &str) -> Option<(String, DataKey)> {
    let (id, key) = part.split_once(':')?;
    let named = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if id.is_empty() || id.len() > ID_BYTES || !id.bytes().all(named) {
        return None;
    }
    let key = Zeroizing::new(STANDARD.decode(key).ok()?);
    let key = (key.len() == KEY).then(|| SecretSlice::from(key.to_vec()))?;
    Some((id.to_owned(), DataKey::from(key)))
}

/// Only the ids.
impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.keys.iter().map(|(id, _)| id))
            .finish()
    }
}

#[async_trait]
impl Kms for Keyring {
    fn key_id(&self) -> &str {
        self.keys.first().map_or("", |(id, _)| id)
    }

    fn key_ids(&self) -> Vec<String> {
        self.keys.iter().map(|(id, _)| id.clone()).collect()
    }

    async fn wrap(&self, key: &[u8], aad: &[u8]) -> Result<WrappedKey, KmsError> {
        let (key_id, first) = self
            .keys
            .first()
            .ok_or_else(|| KmsError::UnknownKey(String::new()))?;
        let bytes = first.seal(aad, key).map_err(|error| refused(&error))?;
        Ok(WrappedKey {
            key_id: key_id.clone(),
            bytes,
        })
    }

    async fn unwrap(&self, wrapped: &WrappedKey, aad: &[u8]) -> Result<SecretSlice<u8>, KmsError> {
        let key = self
            .find(&wrapped.key_id)
            .ok_or_else(|| KmsError::UnknownKey(wrapped.key_id.clone()))?;
        key.open(aad, &wrapped.bytes)
            .map_err(|error| refused(&error))
    }
}

fn refused(error: &VaultError) -> KmsError {
    match error {
        VaultError::Random(error) => KmsError::Unavailable(error.to_string()),
        _ => KmsError::Refused,
    }
}
