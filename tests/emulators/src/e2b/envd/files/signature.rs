//! Signatures of addresses of files.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine as _, prelude::BASE64_STANDARD_NO_PAD};
use sha2::{Digest as _, Sha256};

/// What is signed.
#[derive(Debug)]
pub(super) struct Signed<'a> {
    /// As in the query.
    pub(super) path: &'a str,
    /// `read` or `write`.
    pub(super) operation: &'a str,
    pub(super) username: &'a str,
    /// Unix seconds.
    pub(super) expires: Option<i64>,
}

impl Signed<'_> {
    fn signature(&self, token: &str) -> String {
        let Self {
            path,
            operation,
            username,
            expires,
        } = self;
        let mut text = format!("{path}:{operation}:{username}:{token}");
        if let Some(expires) = expires {
            text = format!("{text}:{expires}");
        }
        format!("v1_{}", BASE64_STANDARD_NO_PAD.encode(Sha256::digest(text)))
    }

    /// Checks one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn check(&self, token: &str, signature: &str) -> Result<(), &'static str> {
        if self.signature(token) != signature {
            return Err("invalid signature");
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = i64::try_from(since.unwrap_or_default().as_secs()).unwrap_or(i64::MAX);
        match self.expires {
            Some(expires) if expires < now => Err("signature is already expired"),
            _ => Ok(()),
        }
    }
}

#[test]
fn it_is_what_the_sdk_makes() {
    let signed = Signed {
        path: "/tmp/x y.txt",
        operation: "read",
        username: "user",
        expires: Some(1_795_229_704),
    };
    let seen = "v1_ExvhDT4LbgE3RqWx16+AENCdRgnxlpPH6T7rl7ojOpQ";
    assert_eq!(signed.signature("tok_abc"), seen);
    assert_eq!(signed.check("tok_abd", seen), Err("invalid signature"));
    let old = Signed {
        expires: Some(1),
        ..signed
    };
    let signature = old.signature("t");
    assert_eq!(
        old.check("t", &signature),
        Err("signature is already expired")
    );
}
