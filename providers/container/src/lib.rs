//! Sandboxes as containers of a Docker Engine.
//!
//! A sandbox is found again by the labels of its container and of its network. Its PID 1 is the
//! runner, which runs all commands. [`Container`] is the provider; [`Config`] says which engine and
//! with what defaults.

mod archive;
mod body;
mod call;
mod capabilities;
mod cgroup;
mod config;
mod container;
mod create;
mod delete;
mod detect;
mod engine;
mod fault;
mod find;
mod host;
mod image;
mod images;
mod instance;
mod link;
mod list;
mod making;
mod names;
mod network;
mod owners;
mod pause;
mod people;
mod pool;
mod ready;
mod remove;
mod runner;
mod secret;
mod size;
mod slots;
mod start;
mod step;
mod subnet;
mod sweep;
mod volume;
mod way;

pub use config::{Args, Cgroup, Config, ContainerArgs, DEFAULT_LISTEN, Transport};
pub use container::Container;
pub use detect::Inputs;
pub use link::{Link, bridge::Bridge};
pub use pool::Wishes;
pub use step::STEPS;
