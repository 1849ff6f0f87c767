//! Repositories of git, and a server that has them.

mod repositories;
mod server;

pub use repositories::{Repositories, git};
pub use server::{Asked, GitServer};
