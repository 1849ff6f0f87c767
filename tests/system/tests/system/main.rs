//! What gateway and provider do together, one subject a file.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the whole binary is a test"
)]

mod alias;
mod auth;
mod create;
mod deadline;
mod default_sandbox;
mod delete;
mod executions;
mod fake;
mod fields;
mod foreign;
mod health;
mod hung_upstream;
mod ids;
mod large;
mod line;
mod metadata;
mod mutual_tls;
mod not_built;
mod provider_down;
mod provider_token;
mod reflection;
mod resume;
mod rollback;
mod start_stop;
mod state;
mod wire;
