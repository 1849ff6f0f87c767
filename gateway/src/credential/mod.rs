//! Secrets of sessions and connections of users: what is kept sealed and never given back, and which
//! of it a call needs.

mod connections;
mod github;
mod known;
mod resolve;
mod rotate;
mod safe;
mod secrets;
mod sources;

pub(crate) use connections::{Candidate, Connection, Connections};
pub(crate) use github::GitHub;
pub(crate) use resolve::{Credentials, Resolved};
pub(crate) use safe::Safe;
pub(crate) use secrets::{Secret, Secrets};

#[cfg(test)]
mod tests;
