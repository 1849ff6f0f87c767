//! The runner as a program, over its socket and its standard streams.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "the whole binary is a test"
)]

mod client;
mod ending;
mod faults;
mod files;
mod git;
mod hostile;
mod input;
mod linger;
mod listing;
mod load;
mod output;
mod ports;
mod program;
mod single;
mod visit;
