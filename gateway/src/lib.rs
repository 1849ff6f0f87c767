//! The Sandgate gateway. Requests fall through its rooms from top to bottom: `edge`, then `relay` or
//! `rpc`, then `session` and `sandbox`, then `store` and `fleet`; nothing climbs.

mod clock;
mod config;
mod edge;
mod fleet;
mod ids;
mod ops;
mod principal;
mod problem;
mod relay;
mod rpc;
mod sandbox;
mod server;
mod session;
mod store;

pub use config::{Args, Config, ConfigError, DEFAULT_LISTEN, GatewayArgs};
pub use fleet::{Access, ProviderEntry};
pub use rpc::BUILT;
pub use server::{Running, StartError, run, start};
