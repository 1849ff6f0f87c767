//! The kit's side of the runner's protocol: one connection a sandbox, many calls on it, and nothing
//! that the runner says believed before it is checked.

mod calls;
mod check;
mod connect;
mod drive;
mod error;
mod greet;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod hostile;
mod link;
mod queue;
mod table;
mod through;
mod watch;

pub(crate) use self::greet::hello;
pub use self::greet::{GreetError, greet};
pub(crate) use self::{
    check::{FACTS_BYTES, place},
    error::{LinkError, Refusal, Violation},
    link::Link,
    queue::Seen,
    table::{Links, NoLink},
    through::through,
    watch::{Began, Watch},
};
