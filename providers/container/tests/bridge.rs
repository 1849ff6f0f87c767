//! All that holds for both transports, over the bridge.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "cases/exec.rs"]
mod exec;
#[path = "cases/lifecycle.rs"]
mod lifecycle;
#[path = "cases/ownership.rs"]
mod ownership;
#[path = "cases/pause.rs"]
mod pause;
#[path = "cases/secret.rs"]
mod secret;
mod support;

const TRANSPORT: sandgate_provider_container::Transport =
    sandgate_provider_container::Transport::Bridge;
