//! Many calls, many streams, slow readers: nobody harms anybody else.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the whole binary is a test"
)]

mod cancel;
mod idle;
mod many_calls;
mod slow_reader;
