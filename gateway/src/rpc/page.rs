//! Page tokens: opaque, and good only for the caller and the filter that they were made for.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use prost::Message;
use sandgate_proto::Problem;
use sha2::{Digest as _, Sha256};

use crate::{principal::Principal, problem::Result, store::PageKey};

/// Items where the caller names no number, and at most.
const DEFAULT_SIZE: u32 = 50;
const LARGEST_SIZE: u32 = 1000;

/// One page that a caller asks for.
pub(super) struct Page {
    pub(super) size: u32,
    pub(super) after: Option<PageKey>,
    binding: [u8; 8],
}

impl Page {
    /// `filter`: the request without its page_size and page_token.
    pub(super) fn of(
        principal: &Principal,
        filter: &impl Message,
        size: u32,
        token: &str,
    ) -> Result<Self> {
        let binding = binding(principal, filter);
        let after = match token {
            "" => None,
            token => Some(open(token, binding).ok_or_else(|| {
                Problem::invalid_field(
                    "page_token",
                    "was not made for this list; take next_page_token of the page before, with the same filter",
                )
            })?),
        };
        let size = if size == 0 {
            DEFAULT_SIZE
        } else {
            size.min(LARGEST_SIZE)
        };
        Ok(Self {
            size,
            after,
            binding,
        })
    }

    /// How many rows to ask for: one more than the page holds, to know whether there is another.
    pub(super) fn limit(&self) -> u32 {
        self.size + 1
    }

    /// Cuts the rows to the page, and makes the token of the next.
    pub(super) fn cut<T>(&self, rows: &mut Vec<T>, key: impl Fn(&T) -> PageKey) -> String {
        let size = self.size as usize;
        if rows.len() <= size {
            return String::new();
        }
        rows.truncate(size);
        rows.last()
            .map(|last| self.seal(&key(last)))
            .unwrap_or_default()
    }

    fn seal(&self, key: &PageKey) -> String {
        let time = key.time.to_be_bytes();
        URL_SAFE_NO_PAD.encode([&self.binding[..], &time, key.id.as_bytes()].concat())
    }
}

/// What binds it, time, id.
fn open(token: &str, binding: [u8; 8]) -> Option<PageKey> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let (bound, rest) = bytes.split_first_chunk::<8>()?;
    let (time, id) = rest.split_first_chunk::<8>()?;
    let id = String::from_utf8(id.to_vec()).ok()?;
    (*bound == binding).then_some(PageKey {
        time: i64::from_be_bytes(*time),
        id,
    })
}

fn binding(principal: &Principal, filter: &impl Message) -> [u8; 8] {
    let mut hash = Sha256::new();
    for part in [
        principal.owner.org_id.as_bytes(),
        principal.owner.user_id.as_bytes(),
        &filter.encode_to_vec(),
    ] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    std::array::from_fn(|index| digest[index])
}

#[cfg(test)]
mod tests {
    use sandgate_proto::v1::ListSessionsRequest;

    use super::*;

    #[test]
    fn a_token_is_good_for_its_own_list_only() {
        let filter = ListSessionsRequest {
            agent_id: "a".into(),
            ..Default::default()
        };
        let page = Page::of(&Principal::dev(), &filter, 1, "").unwrap();
        let key = PageKey {
            time: 7,
            id: "an id".into(),
        };
        let token = page.cut(&mut vec![key.clone(), key.clone()], PageKey::clone);
        let next = Page::of(&Principal::dev(), &filter, 1, &token).unwrap();
        assert_eq!(next.after, Some(key));
        assert!(Page::of(&Principal::admin(), &filter, 1, &token).is_err());
        assert!(
            Page::of(
                &Principal::dev(),
                &ListSessionsRequest::default(),
                1,
                &token
            )
            .is_err()
        );
        assert!(Page::of(&Principal::dev(), &filter, 1, "rubbish").is_err());
    }

    #[test]
    fn the_last_page_has_no_token() {
        let page = Page::of(&Principal::dev(), &(), 5, "").unwrap();
        let key = PageKey {
            time: 7,
            id: "an id".into(),
        };
        assert_eq!(page.cut(&mut vec![key; 5], PageKey::clone), "");
        assert_eq!(Page::of(&Principal::dev(), &(), 0, "").unwrap().size, 50);
        assert_eq!(
            Page::of(&Principal::dev(), &(), 5000, "").unwrap().size,
            1000
        );
    }
}
