//! Page tokens of ListExecutions: a place in the list, bound to what was asked and to the life of
//! the sandbox that it was asked of.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

use crate::{Kind, ProviderError};

const BINDING: usize = 8;

/// What a token is good for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page<'a> {
    pub(super) sandbox_id: &'a str,
    pub(super) state: i32,
}

impl Page<'_> {
    /// The token of what comes before this number.
    pub(super) fn token(self, boot: &str, number: u64) -> String {
        let mut token = number.to_be_bytes().to_vec();
        token.extend_from_slice(&self.binding(boot));
        URL_SAFE_NO_PAD.encode(token)
    }

    /// The number of a token; 0 for none. To be checked once the boot is known.
    pub(super) fn number(token: &str) -> Result<u64, ProviderError> {
        if token.is_empty() {
            return Ok(0);
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| refused())?;
        let (number, binding) = bytes.split_first_chunk().ok_or_else(refused)?;
        if binding.len() != BINDING {
            return Err(refused());
        }
        Ok(u64::from_be_bytes(*number))
    }

    /// Refuses a token of another list.
    pub(super) fn check(self, token: &str, boot: &str, number: u64) -> Result<(), ProviderError> {
        if token.is_empty() || token == self.token(boot, number) {
            return Ok(());
        }
        Err(refused())
    }

    fn binding(self, boot: &str) -> [u8; BINDING] {
        let hash = Sha256::new()
            .chain_update(self.state.to_be_bytes())
            .chain_update(self.sandbox_id)
            .chain_update([0])
            .chain_update(boot)
            .finalize();
        std::array::from_fn(|place| hash[place])
    }
}

fn refused() -> ProviderError {
    ProviderError::new(
        Kind::InvalidField("page_token"),
        "is not of this list, or the sandbox was started anew since; list again from the first page",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_its_own_list_only() {
        let page = Page {
            sandbox_id: "s",
            state: 1,
        };
        let token = page.token("boot", 7);
        let number = Page::number(&token).unwrap();
        assert_eq!(number, 7);
        assert!(page.check(&token, "boot", number).is_ok());
        assert!(page.check(&token, "other", number).is_err());
        let other = Page { state: 2, ..page };
        assert!(other.check(&token, "boot", number).is_err());
        assert!(Page::number("garbage").is_err());
        assert_eq!(Page::number("").unwrap(), 0);
    }
}
