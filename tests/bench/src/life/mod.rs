//! What many sandboxes in the store cost: a call about one of them, and the lease task that looks
//! after all of them.

mod exec;
mod figure;
mod lease;
mod meter;
mod reconcile;
mod results;
mod run;
mod stand;
mod store;
mod table;

pub(crate) use figure::{Figure, SANDBOXES};
pub(crate) use run::run;
