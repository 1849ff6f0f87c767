//! The conformance suite against the real providers, straight and through a gateway.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the whole binary is a test"
)]

mod providers;
mod table;
