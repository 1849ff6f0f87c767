//! All that holds for both transports, over the socket.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "cases/attacks.rs"]
mod attacks;
#[path = "cases/exec.rs"]
mod exec;
#[path = "cases/lifecycle.rs"]
mod lifecycle;
#[path = "cases/network.rs"]
mod network;
#[path = "cases/ownership.rs"]
mod ownership;
#[path = "cases/pause.rs"]
mod pause;
mod support;

const TRANSPORT: sandgate_provider_container::Transport =
    sandgate_provider_container::Transport::Socket;
