//! One kind of calls, made a few at a time.

use std::{future::Future, time::Duration};

use tokio::time::timeout;

use super::figure::Figure;
use crate::{
    error::{Error, Result},
    hop::load::{self, Ids},
    way::Way,
};

/// A few calls never take as long as this.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is called, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Calls {
    /// The provider, with no gateway between.
    Direct,
    /// A gateway that knows one session and asks for no key.
    Few,
    /// A gateway that knows many, with an API key.
    Many(Figure),
}

/// Makes calls of one kind.
pub(super) struct Caller {
    /// Which.
    pub(super) calls: Calls,
    way: Way,
    sandboxes: Vec<Ids>,
    next: usize,
}

impl Caller {
    /// Calls these sandboxes in turn; there has to be one.
    pub(super) fn new(calls: Calls, way: Way, sandboxes: Vec<Ids>) -> Self {
        Self {
            calls,
            way,
            sandboxes,
            next: 0,
        }
    }

    /// The next calls, one after the other; how long each took.
    pub(super) async fn turn(&mut self, calls: usize) -> Result<Vec<Duration>> {
        let range = self.next..self.next + calls;
        self.next = range.end;
        let sandboxes = range.map(|index| &self.sandboxes[index % self.sandboxes.len()]);
        in_time(load::times(&self.way, sandboxes)).await
    }
}

async fn in_time<T>(calls: impl Future<Output = Result<T>>) -> Result<T> {
    timeout(PATIENCE, calls)
        .await
        .map_err(|_| Error::Late("a turn of calls"))?
}
