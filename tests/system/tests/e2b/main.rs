//! The provider of E2B as a program of its own, between a gateway and an emulator of E2B that fails
//! on demand.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the whole binary is a test"
)]

mod canary;
mod counts;
mod create;
mod direct;
mod emulator;
mod envd;
mod heartbeat;
mod keys;
mod life;
mod limits;
mod lost;
mod management;
mod moments;
mod output;
mod reconcile;
mod restart;
mod stand;
mod users;
mod wake;
