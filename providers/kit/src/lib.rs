//! What a provider is made of. Implement [`Provider`] and hand it to [`run`]: the kit serves the
//! contract over it, reads the context that the gateway sends, checks tokens, runs commands through
//! the runner in each sandbox, and drains.

mod auth;
mod built;
mod command;
mod config;
mod context;
mod descriptors;
mod environment;
mod error;
mod executions;
mod files;
mod git;
mod logs;
mod ports;
mod provider;
mod rpc;
mod runner;
mod server;
mod size;
mod socket;
mod spec;
mod step;
mod sweep;
mod visits;

pub use built::BUILT;
pub use config::KitArgs;
pub use context::{CallContext, Owner};
pub use error::{Kind, ProviderError};
pub use ports::{PortAddress, PortArgs, PortRange};
pub use provider::{Instance, LogLine, LogLines, LogQuery, Page, Provider, Reached};
pub use runner::{GreetError, greet};
pub use server::{Running, StartError, run, start};
pub use size::bytes_of;
pub use socket::{SocketError, connect_inside};
pub use spec::{Limits, Network, Spec, fill_lifecycle};
pub use step::reached;
pub use visits::{Greeted, Reader, Upload, Uploaded, Visit, Visitor};

/// Reads any bytes as if a runner had sent them. For the fuzz target: must never panic.
#[cfg(feature = "fuzzing")]
pub fn read_as_runner(bytes: &[u8]) {
    runner::hostile::read_hostile(bytes);
}
