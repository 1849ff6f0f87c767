//! Pages of ListDirectory: a place in the order of paths, bound to what was asked.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use prost::Message as _;
use sandgate_proto::v1::{FileInfo, ListDirectoryRequest, ListDirectoryResponse};
use sha2::{Digest as _, Sha256};

use crate::{CallContext, Kind, ProviderError};

const BINDING: usize = 8;
/// Names on a page unless asked, and at most.
const SIZE: u32 = 50;
const MOST: u32 = 1000;
/// Bytes of a page; clients take 4 MiB.
const BYTES: usize = 3 * 1024 * 1024;

/// One page.
pub(super) struct Page {
    binding: [u8; BINDING],
    after: Bytes,
    size: u32,
    bytes: usize,
    entries: Vec<FileInfo>,
}

impl Page {
    pub(super) fn of(
        context: &CallContext,
        request: &ListDirectoryRequest,
    ) -> Result<Self, ProviderError> {
        let hash = Sha256::new()
            .chain_update(&context.sandbox_id)
            .chain_update(request.depth.max(1).to_be_bytes())
            .chain_update(&request.path)
            .finalize();
        let binding = std::array::from_fn(|place| hash[place]);
        Ok(Self {
            binding,
            after: after(&request.page_token, binding)?,
            size: match request.page_size {
                0 => SIZE,
                asked => asked.min(MOST),
            },
            bytes: 0,
            entries: Vec::new(),
        })
    }

    /// The path that was last on the page before, below the directory; empty: none was.
    pub(super) fn after(&self) -> Bytes {
        self.after.clone()
    }

    pub(super) const fn size(&self) -> u32 {
        self.size
    }

    /// Adds names; true: no more of them fit.
    pub(super) fn add(&mut self, entries: Vec<(Bytes, FileInfo)>) -> bool {
        for (path, info) in entries {
            let size = info.encoded_len();
            let is_full = self.entries.len() >= self.size as usize || self.bytes + size > BYTES;
            if is_full && !self.entries.is_empty() {
                return true;
            }
            self.bytes += size;
            self.after = path;
            self.entries.push(info);
        }
        false
    }

    pub(super) fn finish(self, more: bool) -> ListDirectoryResponse {
        let token = [&self.binding[..], &self.after].concat();
        ListDirectoryResponse {
            entries: self.entries,
            next_page_token: if more {
                URL_SAFE_NO_PAD.encode(token)
            } else {
                String::new()
            },
        }
    }
}

fn after(token: &str, binding: [u8; BINDING]) -> Result<Bytes, ProviderError> {
    if token.is_empty() {
        return Ok(Bytes::new());
    }
    let bytes = URL_SAFE_NO_PAD.decode(token).unwrap_or_default();
    match bytes.strip_prefix(&binding[..]) {
        Some(after) if !after.is_empty() => Ok(Bytes::copy_from_slice(after)),
        _ => Err(ProviderError::new(
            Kind::InvalidField("page_token"),
            "is of another list; begin with an empty one",
        )),
    }
}
