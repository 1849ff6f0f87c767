//! What executions and sandboxes cost through gateway and provider, beside the Docker API and
//! bubblewrap.

mod client;
mod commands;
mod content;
mod creates;
mod engine;
mod figure;
mod files;
mod groups;
mod idle;
mod local;
mod memory;
mod phase;
mod phases;
mod rss;
mod stand;
mod table;

pub(crate) use engine::Engine;
pub(crate) use figure::Figure;
pub(crate) use phases::run;
