//! Secrets stay where they belong: known texts are sent through every call, well-formed and not, and
//! looked for afterwards in all that a gateway writes and answers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the whole binary is a test"
)]

mod calls;
mod canaries;
mod leaks;
mod stand;
mod upstream;
