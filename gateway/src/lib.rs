//! The Sandgate gateway. Requests fall through its rooms from top to bottom: `edge`, then `relay` or
//! `rpc`, then `session` and `sandbox`, then `store` and `fleet`; nothing climbs.

mod agent;
mod audit;
mod clock;
mod config;
mod credential;
mod edge;
mod facts;
mod file;
mod fleet;
mod identity;
mod ids;
mod kept;
mod lease;
mod objects;
mod ops;
mod principal;
mod problem;
mod relay;
mod replay;
mod retain;
mod rpc;
mod sandbox;
mod sealed;
mod server;
mod session;
mod step;
mod store;
mod transfer;
mod vault;
mod watch;
mod wire;

pub use clock::Clock;
pub use config::{
    Args, AuditArgs, Config, ConfigError, ConnectionArgs, DEFAULT_LISTEN, FeatureArgs, FileArgs,
    FilesPlace, GatewayArgs, IdentityArgs, KeyArgs, KeysError, LimitArgs, Pace,
};
pub use fleet::{Access, ProviderEntry};
pub use identity::IdentityError;
pub use objects::ObjectsError;
pub use rpc::BUILT;
pub use server::{Running, StartError, run, start};
pub use step::STEPS;
