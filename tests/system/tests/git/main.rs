//! Git in the sandboxes of every provider: repositories on a server that wants to know who asks, and a
//! token that is to be found nowhere afterwards.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the whole binary is a test"
)]

mod calls;
mod credentials;
mod ending;
mod hosts;
mod kinds;
mod nowhere;
mod refused;
mod size;
mod stand;
mod stopped;
mod submodules;
mod tokens;
