//! What somebody wants written.

use crate::store::How;

/// What is to be written, and where.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    /// In its one form.
    pub(crate) path: String,
    pub(crate) how: How,
    /// Empty: guessed.
    pub(crate) content_type: String,
    pub(crate) expected_size: Option<u64>,
    /// Empty: not checked.
    pub(crate) sha256: Vec<u8>,
    /// etag that the old file must have; empty: any.
    pub(crate) if_match: String,
}

impl Open {
    /// In the place of whatever is there.
    pub(crate) fn replace(path: String) -> Self {
        Self {
            path,
            how: How::Replace,
            content_type: String::new(),
            expected_size: None,
            sha256: Vec::new(),
            if_match: String::new(),
        }
    }
}
