//! Git in a sandbox, as this program's own modes: `clone` and `credentials` are executions whose input
//! is what to do, the token with it, so that it is in no argument, environment or file.
//!
//! The sandbox's own git does the work. Its system configuration is read, which whoever can change it
//! could replace git itself; the user's is not, where a command may have left a helper that stores
//! what it is told, or another address for a host.

mod clone;
mod credentials;
mod failure;
mod fill;
mod forget;
mod lend;
mod login;
mod place;
mod redact;
mod report;
mod run;

use std::io::{self, Read as _};

use prost::Message;
use rustix::process::DumpableBehavior;

pub(crate) use self::{
    clone::clone,
    credentials::credentials,
    forget::{Forget, forget, go_on},
    lend::ask as lend,
};

/// Most input, in bytes.
const INPUT: u64 = 1 << 20;

/// What the input says to do. From here on nobody else may look into our memory.
fn job<T: Message + Default>() -> io::Result<T> {
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let mut input = Vec::new();
    io::stdin().lock().take(INPUT).read_to_end(&mut input)?;
    let job = T::decode(&input[..]);
    input.fill(0);
    job.map_err(|_| io::Error::other("the input says nothing to do; a provider starts this"))
}
