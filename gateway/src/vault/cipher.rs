//! AES-256-GCM. The only file that knows the cipher.

use aes_gcm::{
    Aes256Gcm, KeyInit as _,
    aead::{Aead as _, Payload},
};
use secrecy::{ExposeSecret as _, SecretSlice};
use zeroize::Zeroizing;

use super::VaultError;

/// Bytes of a key, of a nonce, and of what sealing adds: nonce and tag.
pub(super) const KEY: usize = 32;
const NONCE: usize = 12;
pub(super) const OVERHEAD: usize = NONCE + 16;

/// A key for AES-256-GCM, zeroed when dropped.
pub(super) struct DataKey(SecretSlice<u8>);

impl DataKey {
    pub(super) fn random() -> Result<Self, VaultError> {
        let mut key = Zeroizing::new([0; KEY]);
        getrandom::fill(&mut *key)?;
        Ok(Self(SecretSlice::from(key.to_vec())))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.0.expose_secret()
    }

    /// `nonce || ciphertext || tag`, with a fresh random nonce.
    pub(super) fn seal(&self, aad: &[u8], value: &[u8]) -> Result<Vec<u8>, VaultError> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce)?;
        let payload = Payload { msg: value, aad };
        let sealed = self
            .cipher()?
            .encrypt(&nonce.into(), payload)
            .map_err(|_| VaultError::Refused)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    pub(super) fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<SecretSlice<u8>, VaultError> {
        let (nonce, msg) = sealed
            .split_first_chunk::<NONCE>()
            .ok_or(VaultError::Malformed)?;
        let payload = Payload { msg, aad };
        let opened = self
            .cipher()?
            .decrypt(&(*nonce).into(), payload)
            .map_err(|_| VaultError::Refused)?;
        Ok(SecretSlice::from(opened))
    }

    fn cipher(&self) -> Result<Aes256Gcm, VaultError> {
        Aes256Gcm::new_from_slice(self.bytes()).map_err(|_| VaultError::Malformed)
    }
}

impl From<SecretSlice<u8>> for DataKey {
    fn from(key: SecretSlice<u8>) -> Self {
        Self(key)
    }
}
