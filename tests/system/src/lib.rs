//! The harness of the system tests: a scripted provider, a gateway in front of it, ways to disturb
//! the road between them, and clients that send what no proper client would.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the whole crate is for tests: what goes wrong here fails the test"
)]

mod client;
mod fake;
mod link;
mod process;
mod raw;
mod status;
mod tap;
mod tls;
mod world;

pub use client::{Client, Finished};
pub use fake::{Act, Call, Fake, Op};
pub use link::Link;
pub use process::{Binary, build};
pub use raw::{Raw, Reply, frame, framed};
pub use status::{assert_reason, fact, has_retry, reason};
pub use tap::{Seen, Tap};
pub use tls::Certificates;
pub use world::{Plan, World, eventually, gateway_for, kit_args, uuid};
