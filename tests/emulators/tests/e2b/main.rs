//! Tests of the emulator of E2B: what was seen of E2B on the wire, and its own SDKs, unchanged.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod binary;
mod inside;
mod recorded;
mod sdk;
mod support;
mod wire;
