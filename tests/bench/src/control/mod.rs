//! What it costs a relayed call that the gateway knows many users and sessions: to tell who calls,
//! to look up what is called, and to check that the one may call the other.

mod caller;
mod figure;
pub(crate) mod fill;
mod results;
mod rounds;
mod setup;
mod table;

pub(crate) use figure::Figure;
pub(crate) use rounds::run;
