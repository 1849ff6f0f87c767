//! Exposed ports of real providers, seen through a gateway: what is listened to in a sandbox answers
//! outside, whole and at its own pace, and nothing is left when it is over.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the whole binary is a test"
)]

mod ends;
mod flow;
mod idle;
mod limits;
mod native;
mod owners;
mod reach;
mod stand;
mod visitor;
