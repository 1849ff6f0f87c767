//! What E2B's envd serves inside a sandbox: messages, clients and servers of its Connect services.
//! The provider is a client of them, and the emulator of the tests a server.

#[allow(
    missing_docs,
    rust_2018_idioms,
    unused_qualifications,
    clippy::all,
    clippy::pedantic,
    reason = "generated"
)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/envd.rs"));
}

pub use generated::{filesystem, process};
