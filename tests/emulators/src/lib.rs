//! Emulators of sandbox clouds: servers on this machine that speak a cloud's protocols, with real
//! processes and files behind them, so that programs can be tested without an account. They follow
//! what is published and was seen of the clouds, not what a program under test expects.
//!
//! `sandgate-emulator e2b --listen 127.0.0.1:3000` is one for anybody; a Rust test starts one with
//! [`e2b::Emulator::start`]. They need Linux, root and bubblewrap.

mod cage;
pub mod config;
pub mod e2b;
mod faults;
mod http;
mod locks;
mod requests;
