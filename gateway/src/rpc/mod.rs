//! The services that the gateway itself answers: unwrap, call the domain, wrap.

mod built;
mod page;
mod provider;
mod sandbox;
mod session;

use sandgate_proto::{Problem, Reason};
use tonic::Request;

pub use built::BUILT;
pub(crate) use provider::Providers;
pub(crate) use sandbox::SandboxRpc;
pub(crate) use session::SessionRpc;

use crate::{principal::Principal, problem::Result};

/// The caller, as the edge has found out.
fn principal<T>(request: &Request<T>) -> Result<Principal> {
    request
        .extensions()
        .get::<Principal>()
        .cloned()
        .ok_or_else(|| {
            Problem::new(
                Reason::AuthenticationRequired,
                "the call did not pass authentication",
            )
        })
}
