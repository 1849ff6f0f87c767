//! What a provider is made of. Implement [`Provider`] and hand it to [`run`]: the kit serves the
//! contract over it, reads the context that the gateway sends, checks tokens, frames output, keeps
//! deadlines, and drains.

mod auth;
mod built;
mod command;
mod config;
mod context;
mod error;
mod exec;
mod process;
mod provider;
mod rpc;
mod server;
mod spec;

pub use built::BUILT;
pub use command::Command;
pub use config::KitArgs;
pub use context::{CallContext, Owner};
pub use error::{Kind, ProviderError};
pub use process::{Event, Outcome, Process};
pub use provider::{Instance, Page, Provider};
pub use server::{Running, StartError, run, start};
pub use spec::{Limits, Network, Spec};
