//! The provider of sandboxes at E2B: its management API for their life, its daemon envd for the way
//! in, and our runner for what runs there. Facts about E2B: docs/providers/e2b.md.

mod api;
mod capabilities;
mod config;
mod create;
mod envd;
mod fault;
mod instance;
mod kept;
mod life;
mod marks;
mod ports;
mod prepare;
mod provider;
mod reach;
mod step;
mod words;

pub use config::{Args, Config, DEFAULT_LISTEN, E2bArgs};
pub use provider::E2b;
pub use step::STEPS;
