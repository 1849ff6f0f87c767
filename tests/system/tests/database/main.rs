//! A gateway whose database is locked, full, damaged or not its own: what it says, and what it keeps.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the whole binary is a test"
)]

mod damaged;
mod disk;
mod files;
mod full;
mod health;
mod locked;
mod stream;
mod unusable;
