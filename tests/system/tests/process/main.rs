//! The real binaries: how they end, how they are missed, and what the README says of them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the whole binary is a test"
)]

mod frozen;
mod gateway_ends;
mod provider_ends;
mod readme;
mod walk;
