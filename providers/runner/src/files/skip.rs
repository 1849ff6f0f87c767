//! What goes through an archive, and what is left out of it.

use sandgate_runner_proto::v1::{PackSummary, Skipped};

/// Most that are named.
const NAMED: usize = 1000;
/// Most bytes of a path that is named.
const PATH: usize = 4096;

/// The summary while it grows.
#[derive(Debug, Default)]
pub(super) struct Summary(pub(super) PackSummary);

impl Summary {
    /// Something went through.
    pub(super) fn took(&mut self, bytes: u64) {
        self.0.entries += 1;
        self.0.bytes += bytes;
    }

    /// Something was left out.
    pub(super) fn skip(&mut self, path: &[u8], reason: &str) {
        self.0.skipped_count += 1;
        // A frame has to hold all that are named.
        let room = self.0.skipped.len() < NAMED;
        let bytes: usize = self.0.skipped.iter().map(|one| one.path.len()).sum();
        if room && bytes < 64 * PATH / 2 {
            let path = path[..path.len().min(PATH)].to_vec().into();
            let reason = reason.to_owned();
            self.0.skipped.push(Skipped { path, reason });
        }
    }
}
