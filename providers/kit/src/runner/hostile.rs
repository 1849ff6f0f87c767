//! Reads any bytes as if a runner had sent them: for property tests and the fuzz target.

use std::sync::Arc;

use sandgate_runner_proto::{FROM_RUNNER_BYTES, FrameReader};
use tokio::sync::Notify;

use super::{
    Seen,
    calls::{Calls, Wants},
    watch::Watched,
};

/// Reads any bytes with every kind of call open, for tests and the fuzz target. What got through
/// is checked once more: offsets without a hole, nothing over the credit.
pub(crate) fn read_hostile(bytes: &[u8]) {
    const CREDIT: u64 = 64 * 1024;
    let (mut calls, mut frames) = (Calls::new(), FrameReader::new(FROM_RUNNER_BYTES));
    let id = || "e".to_owned();
    let mut watches = Vec::new();
    for follow in [true, false] {
        let watched = Watched::new(id(), follow, [0, 7, 0], CREDIT, Arc::new(Notify::new()));
        watches.extend(calls.watch(watched));
    }
    let mut answers = Vec::new();
    for wants in [
        Wants::Started(id()),
        Wants::Stdin,
        Wants::Delivered,
        Wants::Execution(id()),
        Wants::Listed { before: 9 },
    ] {
        answers.extend(calls.once(wants));
    }
    for piece in bytes.chunks(1000) {
        frames.buffer().extend_from_slice(piece);
        if calls.take(&mut frames).is_err() {
            return;
        }
        for watch in &watches {
            read_all(&mut calls, *watch, CREDIT);
        }
    }
}

fn read_all(calls: &mut Calls, watch: u64, credit: u64) {
    let mut bytes = 0;
    while let Some(seen) = calls.watched(watch).and_then(Watched::take) {
        if let Seen::Output { data, .. } = seen {
            assert!(!data.is_empty());
            bytes += data.len() as u64;
        }
        assert!(bytes <= credit);
    }
}

#[cfg(test)]
#[path = "hostile_tests.rs"]
mod tests;
