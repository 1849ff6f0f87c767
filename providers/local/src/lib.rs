//! Sandboxes in Linux namespaces on this machine, made by the program bubblewrap. For one trusted
//! machine: what stands between a command and the host is the host's own kernel.

mod bwrap;
mod capabilities;
mod config;
mod exec;
mod identity;
mod leftovers;
mod limits;
mod live;
mod namespace;
mod probe;
mod provider;
mod request;
mod resolved;
mod store;

pub use config::{Args, Config, Defaults};
pub use exec::Running;
pub use probe::{Finding, Probe, probe};
pub use provider::Local;
