//! Sandboxes as containers of a Docker Engine.
//!
//! Nothing is kept here: a sandbox is found again by the labels of its container and of its
//! network. [`Container`] is the provider; [`Config`] says which engine and with what defaults.

mod body;
mod call;
mod capabilities;
mod config;
mod container;
mod create;
mod detect;
mod engine;
mod exec;
mod fault;
mod find;
mod image;
mod instance;
mod names;
mod network;
mod ready;
mod remove;
mod subnet;

pub use config::{Args, Config, ContainerArgs, DEFAULT_LISTEN};
pub use container::Container;
pub use detect::Inputs;
