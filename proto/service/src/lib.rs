//! What every Sandgate process shares: one way to listen, to drain and to connect over HTTP/2, one
//! set of limits, typed answers, configuration and log. Nothing here knows what an rpc does.

mod built;
mod deadline;
mod drain;
pub mod process;
mod respond;
mod server;
pub mod settings;
mod tls;
#[cfg(feature = "web")]
pub mod web;
mod wire;
mod workers;

pub use built::Built;
pub use deadline::{GRPC_TIMEOUT, format_timeout, timeout_of};
pub use drain::{Drain, DrainBody, draining};
pub use respond::{Typed, problem_response};
pub use server::{PeerInfo, ServedBody, Server, ServerError};
pub use tls::{TlsError, TlsFiles};
pub use wire::{PeerError, Wire, WireBody, WireError, WirePeer};
pub use workers::{WorkerId, Workers};
