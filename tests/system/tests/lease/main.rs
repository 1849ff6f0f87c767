//! The clocks of sandboxes, and who minds them, by a clock that is set by hand; one subject a file.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the whole binary is a test"
)]

mod abandoned;
mod idle;
mod jumps;
mod model;
mod pair;
mod resting;
mod stand;
mod taken_back;
mod takeover;
mod told;
mod tombstones;
mod unasked;
mod use_and_look;
