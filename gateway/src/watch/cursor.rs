//! Where a watcher stands, as an opaque text that is good for its own session only.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sandgate_proto::Problem;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::problem::Result;

/// Bytes of the part that binds it.
const BINDING: usize = 8;

/// A place in the events of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    /// After this event.
    pub(super) seq: i64,
    /// The state of each sandbox was told before. Without that a watcher has to begin anew.
    pub(super) whole: bool,
}

impl Cursor {
    pub(super) fn seal(self, session_id: Uuid) -> String {
        let mut bytes = vec![u8::from(self.whole)];
        bytes.extend(self.seq.to_be_bytes());
        bytes.extend(binding(session_id, &bytes));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    pub(super) fn open(session_id: Uuid, text: &str) -> Result<Self> {
        read(session_id, text).ok_or_else(|| {
            Problem::invalid_field(
                "cursor",
                "is not one of this session; take the cursor of the last event seen, or none to begin with the present state",
            )
        })
    }
}

fn read(session_id: Uuid, text: &str) -> Option<Cursor> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (place, bound) = bytes.split_last_chunk::<BINDING>()?;
    let (whole, seq) = place.split_first()?;
    let seq = i64::from_be_bytes(seq.try_into().ok()?);
    (*bound == binding(session_id, place) && seq >= 0).then_some(Cursor {
        seq,
        whole: *whole == 1,
    })
}

/// No secret: it tells mistakes, and whose session it is was checked before.
fn binding(session_id: Uuid, place: &[u8]) -> [u8; BINDING] {
    let digest = Sha256::new()
        .chain_update(session_id)
        .chain_update(place)
        .finalize();
    std::array::from_fn(|index| digest[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_good_for_its_own_session_only() {
        let (mine, other) = (Uuid::new_v4(), Uuid::new_v4());
        for whole in [false, true] {
            let cursor = Cursor { seq: 77, whole };
            let text = cursor.seal(mine);
            assert_eq!(Cursor::open(mine, &text).unwrap(), cursor);
            assert!(Cursor::open(other, &text).is_err());
            assert!(Cursor::open(mine, &text[1..]).is_err());
            assert!(Cursor::open(mine, &format!("{text}AA")).is_err());
        }
        assert!(Cursor::open(mine, "rubbish").is_err());
        assert!(Cursor::open(mine, "").is_err());
    }
}
