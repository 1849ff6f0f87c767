//! Session files through a gateway: written, read, kept through crashes, and copied to and from
//! sandboxes of the local provider.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the whole binary is a test"
)]

mod aged;
mod broken;
mod bucket;
mod copies;
mod create;
mod created;
mod each;
mod files;
mod large;
mod lost;
mod moving;
mod pair;
mod quota;
mod s3;
mod stand;
mod workspace;
