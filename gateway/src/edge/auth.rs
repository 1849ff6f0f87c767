//! Who is calling, told from the request's `authorization`.

use std::sync::Arc;

use http::{HeaderMap, header::AUTHORIZATION};
use sandgate_proto::{Problem, Reason};
use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;

use crate::{principal::Principal, problem::Result};

/// How callers prove who they are.
#[derive(Clone)]
pub(crate) enum Auth {
    /// Not at all: everybody on this machine is the dev principal. On loopback only.
    Dev,
    /// By the administrator's key.
    AdminKey(Arc<SecretString>),
}

impl Auth {
    pub(crate) fn principal(&self, headers: &HeaderMap) -> Result<Principal> {
        let key = match self {
            Self::Dev => return Ok(Principal::dev()),
            Self::AdminKey(key) => key.expose_secret().as_bytes(),
        };
        let sent = headers
            .get(AUTHORIZATION)
            .and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        if sent.is_some_and(|sent| bool::from(sent.ct_eq(key))) {
            return Ok(Principal::admin());
        }
        Err(Problem::new(
            Reason::AuthenticationRequired,
            "send the metadata `authorization: Bearer KEY` with a key of this gateway",
        ))
    }
}
