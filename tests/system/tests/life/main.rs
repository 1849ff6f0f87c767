//! The life of sandboxes: made once, moved by anybody at any time, and ended without a trace.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the whole binary is a test"
)]

mod auto_start;
mod behind;
mod calls;
mod container;
mod container_face;
mod create;
mod debris;
mod docker_face;
mod etag;
mod first_use;
mod hung;
mod idempotent;
mod matrix;
mod order;
mod outcomes;
mod pair;
mod reconcile;
mod renew;
mod takes_back;
mod unasked;
mod uploads;
mod waits;
