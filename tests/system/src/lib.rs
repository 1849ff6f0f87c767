//! The harness of the system tests: a scripted provider, a gateway in front of it, ways to disturb
//! the road between them, and clients that send what no proper client would.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the whole crate is for tests: what goes wrong here fails the test"
)]

mod caller;
mod client;
mod fake;
mod fill;
mod git;
mod issuer;
mod keep;
mod link;
mod plan;
mod process;
mod raw;
mod rpcs;
mod search;
mod status;
mod sweep;
mod tap;
mod tls;
mod words;
mod world;

pub use caller::Caller;
pub use client::{Client, Finished};
pub use fake::{Act, Call, Fake, Op};
pub use git::{Asked, GitServer, Repositories, git};
pub use issuer::{Issuer, Shown, TokenKey};
pub use link::Link;
pub use plan::Plan;
pub use process::{Binary, build, build_with_failpoints};
pub use raw::{Raw, Reply, frame, framed};
pub use rpcs::{Fields, IDS, OWNER, Rpc};
pub use search::Search;
pub use status::{assert_reason, fact, has_retry, reason};
pub use sweep::kill_sandboxes;
pub use tap::{Seen, Tap};
pub use tls::Certificates;
pub use words::Words;
pub use world::{World, eventually, gateway_as, gateway_for, kit_args, uuid};
