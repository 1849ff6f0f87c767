//! Lists what is kept of a sandbox: the newest first, in pages.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use prost::Message as _;
use sandgate_proto::{
    Problem,
    v1::{Execution, ExecutionState, ListExecutionsRequest, ListExecutionsResponse},
};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::Kept;
use crate::{
    clock,
    problem::Result,
    store::{KeptPage, KeptRecord, PageKey},
};

/// Items where the caller names no number, and at most.
const DEFAULT_SIZE: u32 = 50;
const LARGEST_SIZE: u32 = 1000;
/// Size of the executions in one page; clients take 4 MiB.
const PAGE_BYTES: usize = 3 * 1024 * 1024;
/// Rows that are read at once: each has its output with it.
const BATCH: u32 = 16;

impl Kept {
    /// A page; none where nothing is kept of the sandbox.
    pub(super) async fn list(
        &self,
        session_id: Uuid,
        sandbox_id: Uuid,
        asked: &ListExecutionsRequest,
    ) -> Result<Option<ListExecutionsResponse>> {
        let binding = binding(session_id, sandbox_id, asked.state);
        let mut page = KeptPage {
            session_id,
            sandbox_id,
            now: clock::now(),
            after: None,
            limit: 1,
        };
        if self.store.list_kept(&page).await?.is_empty() {
            return Ok(None);
        }
        page.after = open(&asked.page_token, binding)?;
        page.limit = BATCH;
        let mut reply = ListExecutionsResponse::default();
        if !matches!(
            asked.state(),
            ExecutionState::Unspecified | ExecutionState::Ended
        ) {
            return Ok(Some(reply));
        }
        let mut room = Room::of(asked.page_size);
        loop {
            let rows = self.store.list_kept(&page).await?;
            for row in &rows {
                let execution = self.open(row).await?.execution();
                if !room.take(&execution) {
                    let after = page.after.as_ref();
                    reply.next_page_token =
                        after.map(|after| seal(after, binding)).unwrap_or_default();
                    return Ok(Some(reply));
                }
                reply.executions.push(execution);
                page.after = Some(key(row));
            }
            if rows.len() < BATCH as usize {
                return Ok(Some(reply));
            }
        }
    }
}

/// What is left of a page.
struct Room {
    items: u32,
    bytes: usize,
    empty: bool,
}

impl Room {
    fn of(page_size: u32) -> Self {
        let items = match page_size {
            0 => DEFAULT_SIZE,
            asked => asked.min(LARGEST_SIZE),
        };
        Self {
            items,
            bytes: PAGE_BYTES,
            empty: true,
        }
    }

    /// Whether this one fits; the first always does.
    fn take(&mut self, execution: &Execution) -> bool {
        let size = execution.encoded_len();
        if self.items == 0 || (size > self.bytes && !self.empty) {
            return false;
        }
        self.items -= 1;
        self.bytes = self.bytes.saturating_sub(size);
        self.empty = false;
        true
    }
}

fn key(row: &KeptRecord) -> PageKey {
    PageKey {
        time: row.start_time,
        id: row.execution_id.clone(),
    }
}

/// What a token is good for: this list, and with the session nobody but its owner.
fn binding(session_id: Uuid, sandbox_id: Uuid, state: i32) -> [u8; 8] {
    let hash = Sha256::new()
        .chain_update(session_id)
        .chain_update(sandbox_id)
        .chain_update(state.to_be_bytes())
        .finalize();
    std::array::from_fn(|place| hash[place])
}

fn seal(key: &PageKey, binding: [u8; 8]) -> String {
    let time = key.time.to_be_bytes();
    URL_SAFE_NO_PAD.encode([&binding[..], &time, key.id.as_bytes()].concat())
}

/// What binds it, time, id; none for no token.
fn open(token: &str, binding: [u8; 8]) -> Result<Option<PageKey>> {
    if token.is_empty() {
        return Ok(None);
    }
    let read = || {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (bound, rest) = bytes.split_first_chunk::<8>()?;
        let (time, id) = rest.split_first_chunk::<8>()?;
        let id = String::from_utf8(id.to_vec()).ok()?;
        let time = i64::from_be_bytes(*time);
        (*bound == binding).then_some(PageKey { time, id })
    };
    read().map(Some).ok_or_else(|| {
        Problem::invalid_field(
            "page_token",
            "is not of this list, or the sandbox was stopped since; list again from the first page",
        )
    })
}
