//! Who may do what, what is kept for them, and who hears of it, one subject a file.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the whole binary is a test"
)]

mod agents;
mod api_keys;
mod audit;
mod capabilities;
mod certificates;
mod cleanup_key;
mod connections;
mod database;
mod expiry;
mod jwt;
mod kept;
mod keys;
mod limits;
mod provider_state;
mod replay;
mod revoked;
mod rotation;
mod secret_env;
mod secrets;
mod sessions;
mod watch;
