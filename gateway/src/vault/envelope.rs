//! How a sealed value lies in a row:
//!
//! ```text
//! version 1 | key id: length 1, text | wrapped key: length 2, bytes | nonce 12, ciphertext, tag 16
//! ```

use super::{cipher::OVERHEAD, kms::WrappedKey};

/// The version that is written, and the only one there is.
pub(super) const VERSION: u8 = 1;

/// A sealed value, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Envelope<'a> {
    pub(super) key_id: &'a str,
    wrapped: &'a [u8],
    /// The value under its data key.
    pub(super) content: &'a [u8],
}

impl<'a> Envelope<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        if *version != VERSION {
            return None;
        }
        let (length, rest) = rest.split_first()?;
        let (key_id, rest) = rest.split_at_checked(usize::from(*length))?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let (wrapped, content) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        (content.len() >= OVERHEAD).then_some(Self {
            key_id: std::str::from_utf8(key_id).ok()?,
            wrapped,
            content,
        })
    }

    pub(super) fn write(wrapped: &WrappedKey, content: &[u8]) -> Vec<u8> {
        let (id, key) = (wrapped.key_id.as_bytes(), wrapped.bytes.as_slice());
        let mut bytes = Vec::with_capacity(4 + id.len() + key.len() + content.len());
        bytes.push(VERSION);
        bytes.push(u8::try_from(id.len()).unwrap_or(u8::MAX));
        bytes.extend(id);
        bytes.extend(u16::try_from(key.len()).unwrap_or(u16::MAX).to_be_bytes());
        bytes.extend(key);
        bytes.extend(content);
        bytes
    }

    pub(super) fn wrapped(&self) -> WrappedKey {
        WrappedKey {
            key_id: self.key_id.to_owned(),
            bytes: self.wrapped.to_vec(),
        }
    }
}
