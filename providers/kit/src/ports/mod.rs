//! Exposed ports of sandboxes that no upstream gives addresses to: for each a listener of ours, whose
//! connections are carried into the sandbox by its runner. They live in this process alone.

mod address;
mod carry;
mod config;
mod forward;
mod places;
mod table;
mod watch;

pub(crate) use self::table::Ports;
pub use self::{
    address::PortAddress,
    config::{PortArgs, PortRange},
};

use crate::{Kind, ProviderError};

fn too_many(message: &str) -> ProviderError {
    ProviderError::new(Kind::TooManyPorts, message)
}
