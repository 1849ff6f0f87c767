//! What a call costs on its way through the gateway, beside nginx and beside no hop at all.

pub(crate) mod cpu;
pub(crate) mod listed;
pub(crate) mod load;
mod nginx;
pub(crate) mod provider;
mod rounds;
mod samples;
pub(crate) mod setup;
mod table;

pub(crate) use rounds::run;
