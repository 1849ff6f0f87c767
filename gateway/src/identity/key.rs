//! The text of an API key: `sgk_<api_key_id>_<secret>`.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::cache::Digest;
use crate::{problem, problem::Result};

/// What every key begins with, so that a leaked one is recognised.
const PREFIX: &str = "sgk_";
/// Random bytes of an id, and of a secret.
const ID_BYTES: usize = 8;
const SECRET_BYTES: usize = 32;

/// A key as a caller sent it, taken apart.
pub(super) struct KeyText<'a> {
    pub(super) api_key_id: &'a str,
    /// Of the secret, as it is written.
    pub(super) digest: Digest,
}

/// A new key.
pub(super) struct NewKey {
    pub(super) api_key_id: String,
    pub(super) digest: Digest,
    /// All of it, to be shown once.
    pub(super) text: SecretString,
}

impl<'a> KeyText<'a> {
    /// None where it cannot be a key.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (api_key_id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        is_id(api_key_id).then(|| Self {
            api_key_id,
            digest: digest(secret),
        })
    }
}

impl NewKey {
    pub(super) fn make() -> Result<Self> {
        let (mut id, mut secret) = ([0; ID_BYTES], Zeroizing::new([0; SECRET_BYTES]));
        getrandom::fill(&mut id)
            .and_then(|()| getrandom::fill(&mut *secret))
            .map_err(|error| problem::internal("random bytes", &error))?;
        let api_key_id = format!("{:016x}", u64::from_be_bytes(id));
        let secret = Zeroizing::new(URL_SAFE_NO_PAD.encode(*secret));
        Ok(Self {
            digest: digest(&secret),
            text: format!("{PREFIX}{api_key_id}_{}", *secret).into(),
            api_key_id,
        })
    }
}

/// Where in a text the secret of a key begins, if a whole key is in it: from there on it must not be
/// kept.
pub(crate) fn secret_in(text: &str) -> Option<usize> {
    text.match_indices(PREFIX).find_map(|(at, _)| {
        let id = at + PREFIX.len();
        let end = id + 2 * ID_BYTES;
        let whole = is_id(text.get(id..end)?) && text[end..].starts_with('_');
        whole.then_some(end)
    })
}

/// Whether a text has the form of a key's id.
pub(super) fn is_id(text: &str) -> bool {
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.len() == 2 * ID_BYTES && text.bytes().all(hex)
}

fn digest(secret: &str) -> Digest {
    Sha256::digest(secret).into()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn what_is_made_can_be_parsed() {
        for _ in 0..100 {
            let made = NewKey::make().unwrap();
            let parsed = KeyText::parse(made.text.expose_secret()).unwrap();
            assert_eq!(parsed.api_key_id, made.api_key_id);
            assert_eq!(parsed.digest, made.digest);
        }
    }

    #[test]
    fn a_secret_may_hold_underscores() {
        let parsed = KeyText::parse("sgk_0123456789abcdef_a_b_").unwrap();
        assert_eq!(parsed.digest, digest("a_b_"));
        for wrong in [
            "sgk_",
            "sgk_0123456789abcdef",
            "sgk_0123456789ABCDEF_x",
            "sgk_0123456789abcde_x",
            "0123456789abcdef_x",
            "",
        ] {
            assert!(KeyText::parse(wrong).is_none(), "{wrong}");
        }
    }
}
