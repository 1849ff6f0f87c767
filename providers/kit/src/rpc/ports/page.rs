//! Pages of ListPorts: a place in the order of numbers, bound to the sandbox.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sandgate_proto::v1::{ListPortsRequest, ListPortsResponse};
use sha2::{Digest as _, Sha256};

use crate::{CallContext, Kind, PortAddress, ProviderError};

const BINDING: usize = 8;
/// Ports on a page unless asked, and at most.
const SIZE: u32 = 50;
const MOST: u32 = 1000;

/// One page.
pub(super) struct Page {
    binding: [u8; BINDING],
    /// The last port of the page before; 0: this is the first page.
    after: u16,
    size: usize,
}

impl Page {
    pub(super) fn of(
        context: &CallContext,
        request: &ListPortsRequest,
    ) -> Result<Self, ProviderError> {
        let hash = Sha256::new()
            .chain_update("ports")
            .chain_update(&context.sandbox_id)
            .finalize();
        let binding = std::array::from_fn(|place| hash[place]);
        let size = match request.page_size {
            0 => SIZE,
            asked => asked.min(MOST),
        };
        Ok(Self {
            after: after(&request.page_token, binding)?,
            binding,
            size: size as usize,
        })
    }

    /// The part of all that is on this page.
    pub(super) fn cut(&self, mut all: Vec<PortAddress>) -> ListPortsResponse {
        all.retain(|address| address.port > self.after);
        all.sort_by_key(|address| address.port);
        let is_last = all.len() <= self.size;
        all.truncate(self.size);
        let next_page_token = match all.last() {
            Some(last) if !is_last => {
                let token = [&self.binding[..], &last.port.to_be_bytes()].concat();
                URL_SAFE_NO_PAD.encode(token)
            }
            _ => String::new(),
        };
        ListPortsResponse {
            ports: all.into_iter().map(PortAddress::into_message).collect(),
            next_page_token,
        }
    }
}

fn after(token: &str, binding: [u8; BINDING]) -> Result<u16, ProviderError> {
    if token.is_empty() {
        return Ok(0);
    }
    let bytes = URL_SAFE_NO_PAD.decode(token).unwrap_or_default();
    let after = bytes.strip_prefix(&binding[..]);
    match after.and_then(|after| after.try_into().ok()) {
        Some(after) => Ok(u16::from_be_bytes(after)),
        None => Err(ProviderError::new(
            Kind::InvalidField("page_token"),
            "is of another list; begin with an empty one",
        )),
    }
}
