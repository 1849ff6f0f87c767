//! A sealed value, as the vault gives it and the store keeps it.

/// A sealed value, and which key-encryption key it needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sealed {
    pub(crate) bytes: Vec<u8>,
    pub(crate) key_id: String,
}
