//! The Sandgate contract in Rust: messages and services of `sandbox.v1`, the provider context of
//! `sandbox.provider.v1`, the [`methods`] table read from the rpc options, and the one way in which
//! an error becomes a gRPC status ([`Problem`]).

pub mod limits;
pub mod methods;
mod problem;
mod reason;
mod status;

pub use problem::{Outcome, Problem};
pub use reason::{Code, Reason};
pub use status::{DOMAIN, has_error_info};

/// Messages, clients and servers of package `sandbox.v1`.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::too_many_lines,
    clippy::unwrap_used
)]
pub mod v1 {
    tonic::include_proto!("sandbox.v1");
}

/// What a gateway tells a provider with every call, package `sandbox.provider.v1`.
pub mod provider {
    /// Version 1.
    #[allow(missing_docs, unreachable_pub, clippy::all)]
    pub mod v1 {
        tonic::include_proto!("sandbox.provider.v1");
    }
}

/// The encoded `FileDescriptorSet` of the whole contract, imports and comments included: what
/// server reflection serves.
pub const DESCRIPTOR_SET: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/sandbox_descriptor.bin"));

/// The encoded `FileDescriptorSet` of the error details that a status carries, so that clients of
/// server reflection can show them.
pub const ERROR_DETAILS_DESCRIPTOR_SET: &[u8] = tonic_types::pb::FILE_DESCRIPTOR_SET;

/// Metadata key of the encoded `ProviderContext` that the gateway sends with each call.
pub const CONTEXT_METADATA: &str = "sandgate-context-bin";

/// Metadata key of the encoded `ProviderState` that a provider answers life-cycle calls with.
pub const STATE_METADATA: &str = "sandgate-state-bin";
