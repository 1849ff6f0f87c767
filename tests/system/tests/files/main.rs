//! FileService, through a gateway, on each provider: the same cases everywhere.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the whole binary is a test"
)]

mod archives;
mod awake;
mod calls;
mod cancelled;
mod disk;
mod each;
mod edits;
mod hostile;
mod killed;
mod listing;
mod memory;
mod names;
mod reading;
mod stalled;
mod stand;
mod stopped;
mod tar;
mod tree;
mod trees;
mod writing;
