//! The services that the gateway itself answers: unwrap, call the domain, wrap.

mod admin;
mod agent;
mod audit;
mod built;
mod connection;
mod page;
mod provider;
mod reader;
mod rotation;
mod sandbox;
mod secret;
mod session;
mod session_file;
mod session_file_content;
mod session_file_wire;

use sandgate_proto::{Problem, Reason};
use tonic::{Request, Response};

pub(crate) use admin::AdminRpc;
pub(crate) use agent::AgentRpc;
pub(crate) use audit::AuditRpc;
pub use built::BUILT;
pub(crate) use connection::ConnectionRpc;
pub(crate) use provider::Providers;
pub(crate) use rotation::Rotation;
pub(crate) use sandbox::SandboxRpc;
pub(crate) use secret::SecretRpc;
pub(crate) use session::SessionRpc;
pub(crate) use session_file::SessionFileRpc;

use crate::{facts::Made, principal::Principal, problem::Result};

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

/// An answer, and beside it what the call made.
fn made<T>(answer: T, made: Made) -> Response<T> {
    let mut response = Response::new(answer);
    response.extensions_mut().insert(made);
    response
}
