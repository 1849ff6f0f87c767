//! Sandboxes in Linux namespaces on this machine, made by the program bubblewrap. For one trusted
//! machine: what stands between a command and the host is the host's own kernel.

mod bwrap;
mod capabilities;
mod config;
mod control;
mod identity;
mod init;
mod leftovers;
mod limits;
mod probe;
mod provider;
mod request;
mod resolved;
mod size;
mod step;
mod store;
mod sweep;

pub use config::{Args, Config, Defaults};
pub use probe::{Finding, Probe, probe};
pub use provider::Local;
pub use size::{BadSize, OutputLimit};
pub use step::STEPS;
